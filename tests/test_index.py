import json
from dataclasses import replace
from pathlib import Path

import example_records as example
import pytest

from zoo import index, shipped
from zoo.errors import ZooError
from zoo.metrics import rate
from zoo.publish import entry
from zoo.recipe import load

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- zoo:begin -->", "<!-- zoo:end -->"


def made(repository: str = "zoo/pocket-135m") -> index.Entry:
    return replace(entry.of(example.data(), 270_000_000), repository=repository, commit="0123456789abcdef")


def test_an_entry_says_what_the_records_say() -> None:
    found = made()
    assert (found.recipe, found.version, found.world, found.split) == ("pocket-135m", 1, "phone", "held-out-parameters")
    assert found.success == rate(34, 100)
    assert found.recommended == "Pocket-135M-Q8_0.gguf"
    assert [(file.type, file.bytes, file.passed) for file in found.files] == [
        ("F16", 270_888_832, True),
        ("Q8_0", 144_811_072, True),
    ]
    assert found.machine == "AMD EPYC 9R14, 2 cores"
    assert found.peak_memory_bytes == 1_900_000_000


def test_an_index_that_is_written_reads_back_the_same_whatever_the_order() -> None:
    first, second = made("zoo/a"), made("zoo/b")
    assert index.text([second, first]) == index.text([first, second])
    assert index.parse(index.text([second, first])) == (first, second)


def test_a_later_publication_takes_the_place_of_the_earlier() -> None:
    old, other = made(), made("zoo/other")
    new = replace(old, commit="f" * 40)
    assert index.with_entry((old, other), new) == (other, new)


def test_a_name_stands_for_the_recommended_file_or_the_one_that_is_asked_for() -> None:
    entries = (made(), made("zoo/other"))
    assert index.chosen(entries, "pocket-135m") == ("zoo/pocket-135m-GGUF", "Pocket-135M-Q8_0.gguf")
    assert index.chosen(entries, "pocket-135m:f16") == ("zoo/pocket-135m-GGUF", "Pocket-135M-F16.gguf")
    assert index.chosen(entries, "zoo/pocket-135m:q8_0")[1] == "Pocket-135M-Q8_0.gguf"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pocket-135n", "did you mean 'pocket-135m'"),
        ("pocket-135m:q4_k_m", "fits 0 of its files"),
        ("pocket-135m:gguf", "fits 2 of its files"),
    ],
)
def test_a_name_that_nobody_published_is_refused_with_what_there_is(name: str, said: str) -> None:
    with pytest.raises(ZooError, match=said):
        index.chosen((made(),), name)


def test_a_model_whose_files_all_failed_recommends_none() -> None:
    with pytest.raises(ZooError, match="none passed a gate"):
        index.chosen((replace(made(), recommended=None),), "pocket-135m")


def test_an_index_of_a_later_version_and_what_is_no_index_are_refused() -> None:
    with pytest.raises(ZooError, match="update edgezoo"):
        index.parse(json.dumps({"version": 99, "models": []}))
    for content in ("", "[]", '{"version": 1}', '{"version": 1, "models": [{"repository": "a/b"}]}'):
        with pytest.raises(ZooError, match="no index of the zoo"):
            index.parse(content)


def test_the_table_has_a_row_for_each_file_and_none_for_tiny_twins() -> None:
    rows = index.table((made(), replace(made("zoo/tiny"), tiny=True))).splitlines()
    assert len(rows) == 2 + 3
    assert "34 % (100, 25 to 44)" in rows[2]
    assert "`0123456`" in rows[2]
    assert "**Pocket-135M-Q8_0.gguf**" in rows[4]
    assert "*not run*" in rows[4]


def test_the_readme_shows_what_the_last_runs_measured() -> None:
    shown = README.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    assert index.table(index.measured()).strip() in shown, "stale: paste what `recipes zoo --table` prints"


def test_what_was_measured_was_measured_of_the_recipes_as_they_are_numbered_now() -> None:
    found = index.measured()
    assert len(found) >= 1
    for entry_of_run in found:
        recipe = load(shipped.folder("recipes") / f"{entry_of_run.recipe}.yaml").recipe
        assert entry_of_run.version == recipe.version, f"run {recipe.name} again, then: recipes zoo --add {recipe.name}"
        assert not entry_of_run.tiny
        assert len(entry_of_run.commit) == 40


def test_what_was_only_measured_is_not_offered_as_published() -> None:
    assert index.shipped() == ()
    assert {found.repository for found in index.measured()}.isdisjoint(found.repository for found in index.shipped())

"""Mixtures by weight, and filters: how many of which, always the same, and why not the others."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from zoo.data.mixing import counts_of
from zoo.errors import DataError
from zoo.schema import DataSpec


def source(folder: Path, name: str, count: int) -> Path:
    (folder / name).mkdir()
    rows = [{"prompt": f"{name} {number}", "completion": "ok"} for number in range(count)]
    (folder / name / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


@pytest.fixture
def two(tmp_path: Path) -> dict[str, Path]:
    return {"mix__0__rows": source(tmp_path, "a", 70), "mix__1__rows": source(tmp_path, "b", 90)}


MIX = {"source": "mix", "mix": {"stage:a": 0.7, "owner/b@main": 0.3}}


def origins(rows: list[dict[str, Any]]) -> list[str]:
    return [row["prompt"][0]["content"].split()[0] for row in rows]


def test_shares_are_kept_no_row_is_taken_twice_and_sources_take_turns(made: Any, two: dict[str, Path]) -> None:
    rows, result, _ = made(MIX, **two)
    assert Counter(origins(rows)) == {"a": 70, "b": 30}
    assert len({row["prompt"][0]["content"] for row in rows}) == 100
    assert len(set(origins(rows[:20]))) == 2
    assert result.notes["mix"] == [
        {"source": "stage:a", "weight": 0.7, "usable": 70, "rows": 70},
        {"source": "owner/b@main", "weight": 0.3, "usable": 90, "rows": 30},
    ]


def test_the_seed_decides_and_nothing_else(made: Any, two: dict[str, Path]) -> None:
    limited = {**MIX, "limit": 20}
    first, again, other = (made(limited, seed, **two)[0] for seed in (1, 1, 2))
    assert first == again != other
    assert Counter(origins(first)) == Counter(origins(other)) == {"a": 14, "b": 6}


def test_a_source_with_too_few_rows_is_named_with_the_most_there_can_be(made: Any, two: dict[str, Path]) -> None:
    with pytest.raises(DataError, match="stage:a has 70 usable rows, its share is 140; write limit: 100, or less"):
        made({**MIX, "limit": 200}, **two)


def test_filters_hold_for_each_source_before_shares_are_counted(made: Any, two: dict[str, Path]) -> None:
    rows, result, _ = made({**MIX, "filters": {"most_characters": 5}}, **two)
    assert Counter(origins(rows)) == {"a": 10, "b": 4}
    assert result.notes["dropped"] == {"longer than 5 characters": 140}


def test_pictures_of_a_source_come_along(made: Any, tmp_path: Path) -> None:
    from zoo.data import run_tiny_rows
    from zoo.records import StageContext
    from zoo.schema import TinyRowsSpec

    raw = tmp_path / "raw"
    raw.mkdir()
    run_tiny_rows(TinyRowsSpec(count=4), StageContext(raw, tmp_path, {}, 0))
    _, _, folder = made({"source": "dataset"}, dataset=raw)
    mix = {"source": "mix", "mix": {"stage:x": 1, "stage:y": {"weight": 1, "format": "openphone"}}}
    rows, _, out = made(mix, mix__0__rows=folder, mix__1__rows=raw)
    assert len(rows) == 8 and all((out / row["images"][0]).is_file() for row in rows)


@pytest.mark.parametrize(
    ("weights", "sizes", "limit", "counts"),
    [
        ([1, 1, 1], [10, 10, 10], 10, [4, 3, 3]),
        ([0.5, 0.5], [3, 100], None, [3, 3]),
        ([2, 0], [5, 5], None, [5, 0]),
        ([0.1, 0.9], [1, 9], None, [1, 9]),
        ([1, 2], [0, 5], None, [0, 0]),
    ],
)
def test_counts_add_up(weights: list[float], sizes: list[int], limit: int | None, counts: list[int]) -> None:
    assert counts_of(weights, sizes, limit, list("abc")[: len(sizes)]) == counts


def test_a_mixture_is_written_as_a_mapping_and_its_references_are_pinned_like_any_other() -> None:
    from zoo.schema import references

    spec = DataSpec.model_validate(MIX)
    assert [(place, str(ref)) for place, ref, _ in references(spec)] == [
        ("mix.0.rows", "stage:a"),
        ("mix.1.rows", "owner/b@main"),
    ]


def test_filters_say_what_they_dropped(made: Any) -> None:
    _, everything, _ = made({"tasks": 30})
    templates = {line["template"]: line["rows"] for line in everything.notes["rows_per_template"]}
    pattern = next(iter(templates)).split(".")[0] + ".*"
    filters = {"templates": [pattern], "per_template": 3, "distinct": True, "strict_answers": True}
    rows, result, _ = made({"tasks": 30, "filters": filters})
    few = {line["template"]: line["rows"] for line in result.notes["rows_per_template"]}
    assert few and all(name.startswith(pattern[:-1]) and count <= 3 for name, count in few.items())
    assert result.notes["dropped"]["of another template"] > 0
    assert result.notes["made"] == len(rows) + sum(result.notes["dropped"].values())
    assert result.notes["made"] == everything.notes["made"]


def test_the_same_row_twice_is_one_and_a_sloppy_answer_none(made: Any, tmp_path: Path) -> None:
    tags = "<REASONING>r</REASONING><STATE_ASSESSMENT>s</STATE_ASSESSMENT><CALLED_FUNCTION>back()</CALLED_FUNCTION>"
    records = [{"prompt": "p", "completion": said} for said in (tags, tags, f"Well: {tags}", "back()")]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    spec = {"source": "dataset", "format": "chat", "filters": {"distinct": True, "strict_answers": True}}
    rows, result, _ = made(spec, dataset=tmp_path / "data.jsonl")
    assert len(rows) == 1
    assert result.notes["dropped"] == {"an answer that is not exactly the three tags with a call": 2, "said before": 1}

"""`recipes card` on a publication that the stage laid out, and on cards that a Hub would not take."""

import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent.parent))
import example_records as example

from zoo.cards import checking, gguf_card, model_card, pictures
from zoo.cards.page import page
from zoo.cli.card import card


@pytest.fixture
def publication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path / "home"))
    data = example.data()
    folder = tmp_path / "publication"
    for name, text in {"model": model_card(data), "GGUF": gguf_card(data)}.items():
        (folder / name / "plots").mkdir(parents=True)
        (folder / name / "README.md").write_text(text)
        for path, content in pictures(data).items():
            (folder / name / path).write_bytes(content)
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(card, arguments, catch_exceptions=True)


def test_a_card_is_shown_in_the_terminal_without_its_metadata(publication: Path) -> None:
    result = run(str(publication), "--part", "model")
    assert result.exit_code == 0
    assert "A phone agent for two CPU cores." in result.output
    assert "base_model_relation" not in result.output


def test_every_card_of_a_publication_becomes_a_page_that_loads_nothing(publication: Path) -> None:
    result = run(str(publication), "--json")
    rows = json.loads(result.output)
    assert [(row["part"], row["problems"]) for row in rows] == [("model", []), ("GGUF", [])]
    for row in rows:
        text = Path(row["page"]).read_text()
        assert "default-src 'none'" in text
        assert not re.findall(r'(?:src|href)="(?!data:|https://)', text)
        assert "<table>" in text
        assert 'src="data:image/png;base64,' in text


def test_a_card_that_a_hub_would_not_take_fails_with_every_reason(publication: Path) -> None:
    file = publication / "model" / "README.md"
    file.write_text(file.read_text().replace("license: apache-2.0", "license: apache-9"))
    result = run(str(publication))
    assert result.exit_code == 1
    assert "no licence called 'apache-9'" in str(result.exception)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("license: mit\nbase_model: not/a/name", "base_model: "),
        ("license: other", "license_name"),
        ("tags: [a]", "names no licence"),
        ("license: mit\nbase_model: a/b\nbase_model_relation: child", "base_model_relation is 'child'"),
        ("license: mit\nbase_model_relation: merge", "without a base_model"),
        ("license: [", "cannot read its metadata"),
        ("license: mit\nmodel-index: [{name: x}]", "cannot read its metadata"),
    ],
)
def test_what_a_hub_would_refuse_is_found_beforehand(head: str, said: str) -> None:
    assert any(said in problem for problem in checking.problems(f"---\n{head}\n---\n# A model\n", "model"))


def test_a_picture_outside_the_cards_folder_is_not_carried_into_the_page(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"\x89PNG secret")
    inside = tmp_path / "card"
    inside.mkdir()
    text = page("# A\n\n![x](../secret.png)\n\n<script>alert(1)</script>\n", inside, "A")
    assert "<img" not in text
    assert "<script" not in text
    assert "c2VjcmV0" not in text


def test_a_recipe_that_is_not_finished_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path / "home"))
    result = run("pocket-135m", "--tiny")
    assert "recipes run pocket-135m --tiny --no-push" in str(result.exception)

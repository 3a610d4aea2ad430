"""Plain text for continued pretraining."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from zoo.data.texts import package_problem, pieces
from zoo.errors import DataError, EnvironmentFailure


def text(**changes: Any) -> dict[str, Any]:
    return {"source": "dataset", "format": "text", **changes}


def test_text_files_become_rows_in_the_order_of_their_names(made: Any, tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    for name, content in (("b.txt", "Second."), ("a.md", "First."), ("c.txt", "  \n"), ("d.bin", "no")):
        (tmp_path / "books" / name).write_text(content)
    rows, result, _ = made(text(), dataset=tmp_path / "books")
    assert rows == [{"text": "First.", "task": "a.md"}, {"text": "Second.", "task": "b.txt"}]
    assert result.notes["dropped"] == {"empty": 1}


def test_a_long_text_becomes_several_rows_and_loses_nothing(made: Any, tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {number} " + "word " * 30 for number in range(20)]
    (tmp_path / "long.txt").write_text("\n\n".join(paragraphs))
    rows, _, _ = made(text(text_characters=400), dataset=tmp_path / "long.txt")
    assert len(rows) > 5 and all(len(row["text"]) <= 400 for row in rows)
    assert "".join("".join(row["text"] for row in rows).split()) == "".join("".join(paragraphs).split())
    assert all(row["text"].startswith("Paragraph") for row in rows)


def test_a_word_longer_than_a_row_is_cut() -> None:
    assert list(pieces("x" * 10, 4)) == ["xxxx", "xxxx", "xx"]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_column_of_records_is_read(made: Any, tmp_path: Path, suffix: str) -> None:
    records = [{"body": "One.", "n": 1}, {"body": "Two.", "n": 2}]
    file = tmp_path / f"data.{suffix}"
    if suffix == "jsonl":
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
    else:
        from datasets import Dataset

        Dataset.from_list(records).to_parquet(file)
    rows, _, _ = made(text(column="body"), dataset=file)
    assert [row["text"] for row in rows] == ["One.", "Two."]
    with pytest.raises(DataError, match="has no text `text`; it has body, n"):
        made(text(), dataset=file)


def test_the_documentation_of_an_installed_package_is_text(made: Any) -> None:
    package = f"click=={metadata.version('click')}"
    filters = {"least_characters": 200, "distinct": True}
    rows, result, _ = made(text(package=package, filters=filters))
    assert len(rows) > 50 and any("command" in row["text"] for row in rows)
    assert all(row["task"].startswith("click") for row in rows)
    assert result.notes["package"] == package and result.notes["filters"] == filters
    assert result.notes["dropped"]["shorter than 200 characters"] > 20


def test_another_version_of_the_package_is_refused(made: Any) -> None:
    with pytest.raises(EnvironmentFailure, match=r"is installed, the recipe reads click==0\.0\.1"):
        made(text(package="click==0.0.1"))
    assert "pip install no-such-package==1" in str(package_problem("no-such-package==1"))

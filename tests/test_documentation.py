"""Plain text out of Python's own source."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from zoo import documentation
from zoo.errors import DataError
from zoo.records import StageContext
from zoo.schema import DocumentationSpec


def made(folder: Path, **settings: Any) -> list[dict[str, Any]]:
    folder.mkdir(parents=True)
    documentation.run(DocumentationSpec(**settings), StageContext(folder, folder, {}, seed=7))
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text("utf-8").splitlines()]


def test_a_row_is_an_object_with_its_signature_and_its_text(tmp_path: Path) -> None:
    rows = {row["task"]: row for row in made(tmp_path / "a", modules=["textwrap", "json"])}
    assert rows["wrap"]["text"].startswith("textwrap.wrap(text, width=70, **kwargs)\n\nWrap a single paragraph of text")
    assert {row["template"] for row in rows.values()} == {"textwrap", "json"}
    assert "JSONDecoder.raw_decode" in rows


def test_what_is_held_out_is_never_trained_on(tmp_path: Path) -> None:
    modules = ["argparse", "email", "json", "logging"]
    train, unseen = (made(tmp_path / split, modules=modules, split=split) for split in ("train", "held-out"))
    assert len(unseen) > 10 and len(train) > 5 * len(unseen)
    assert not {row["text"] for row in train} & {row["text"] for row in unseen}


def test_the_same_seed_draws_the_same_rows(tmp_path: Path) -> None:
    first, again = (made(tmp_path / name, modules=["argparse"], limit=5) for name in "ab")
    assert first == again and len(first) == 5


def test_modules_are_parsed_and_never_imported(tmp_path: Path) -> None:
    sys.modules.pop("this", None)
    with pytest.raises(DataError, match="nothing in the split"):
        made(tmp_path / "a", modules=["this"])
    assert "this" not in sys.modules


@pytest.mark.parametrize("module", ["numpy", "zoo", "math", "json.nothing"])
def test_only_the_standard_library_with_its_source_is_read(tmp_path: Path, module: str) -> None:
    with pytest.raises(DataError, match="no module of the standard library"):
        made(tmp_path / "a", modules=[module])

"""A dataset with OpenPhone's columns, as rows: `instruction`, `input`, `system`, `output` or `solution`, images.

Read are `*.parquet`, else `*.jsonl`, else `*.json` (a list of objects); of files named by split, those of `train`.
As in OpenPhone's builder, a row of more than 12,000 characters is dropped, and so is one whose answer holds no call.
The literal `<image>` is taken out of the text: the trainers put a picture in front of the user's words. Not covered: a
row of several turns.
"""

from pathlib import Path
from typing import Any

from zoo.actions import parse, write
from zoo.data.pictures import UnusablePicture, pictures_of
from zoo.data.records import data_files, records
from zoo.data.rows import Row, plain
from zoo.data.samples import Dropped, Made, Sample
from zoo.errors import DataError

__all__ = ["openphone_rows"]

_NEEDED = ("instruction", "input", "system")
_ANSWERS = ("output", "solution")
_MOST_CHARACTERS = 12_000
_MARK = "<image>"


class Unusable(Exception):
    """Why one row is dropped. It never leaves this module."""


def openphone_rows(source: Path) -> Made:
    """Every row of every file, in order. Raises DataError when there is no data file, or a column is missing."""
    root = source if source.is_dir() else source.parent
    for file in data_files(source):
        for number, record in enumerate(records(file), start=1):
            if number == 1:
                _check_columns(file, record)
            try:
                yield _sample(record, f"{file.relative_to(root).as_posix()}:{number}", root, file.parent)
            except (Unusable, UnusablePicture) as reason:
                yield Dropped(str(reason))


def _check_columns(file: Path, record: dict[str, Any]) -> None:
    missing = [f"`{name}`" for name in _NEEDED if name not in record]
    if not any(name in record for name in _ANSWERS):
        missing.append("`output` or `solution`")
    if missing:
        raise DataError(
            f"{file} has no column {', '.join(missing)}; it has {', '.join(sorted(record))}. Needed are OpenPhone's: "
            "instruction, input, system, output or solution, and image or images where there are pictures"
        )


def _sample(record: dict[str, Any], name: str, root: Path, folder: Path) -> Sample:
    texts = {key: str(record.get(key) or "") for key in (*_NEEDED, *_ANSWERS)}
    answer = texts["output"] or texts["solution"]
    action = parse(texts["solution"]) or parse(answer)
    if action is None:
        raise Unusable("no call in the answer")
    if sum(len(texts[key]) for key in _NEEDED) + len(answer) > _MOST_CHARACTERS:
        raise Unusable(f"longer than {_MOST_CHARACTERS} characters")
    asked = "\n".join(text for text in (texts["instruction"], texts["input"]) if text)
    pictures = pictures_of(record, root, folder)
    if _MARK in asked and asked.count(_MARK) != len(pictures):
        raise Unusable(f"not as many pictures as {_MARK} marks")
    system = [{"role": "system", "content": texts["system"]}] if texts["system"] else []
    prompt = [*system, {"role": "user", "content": asked.replace(_MARK, "").strip()}]
    row = Row(prompt, [{"role": "assistant", "content": answer}], write(action), name, "dataset", 0)
    return Sample(plain(row), tuple(pictures))

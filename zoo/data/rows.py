"""`rows.jsonl`: one row, and how rows are written and read."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import DataError

__all__ = ["ROWS_NAME", "Row", "columns", "plain", "read_rows", "write_rows"]

ROWS_NAME = "rows.jsonl"
_KINDS = ("text", "messages", "prompt")
"""Columns, one of which every row has: what a trainer does with it hangs on which."""


@dataclass(frozen=True)
class Row:
    """One step whose right answer is known."""

    prompt: list[dict[str, str]]
    completion: list[dict[str, str]]
    solution: str
    task: str
    template: str
    step: int
    images: tuple[str, ...] = ()
    """Paths relative to the folder of `rows.jsonl`."""


def write_rows(folder: Path, rows: Iterable[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """Write `rows.jsonl`; how many rows there are of each (template, task), both empty where rows have none.

    Raises DataError when there is no row at all, or when rows of one file would be learned in different ways.
    """
    counts: Counter[tuple[str, str]] = Counter()
    kinds: dict[str, int] = {}
    with (folder / ROWS_NAME).open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows, start=1):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            counts[str(row.get("template", "")), str(row.get("task", ""))] += 1
            kinds.setdefault(next(kind for kind in _KINDS if kind in row), number)
    if len(kinds) > 1:
        shown = ", ".join(f"row {number} has `{kind}`" for kind, number in kinds.items())
        raise DataError(f"data: {shown}; a trainer learns one kind of row; make a stage of each")
    return counts


def read_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of a finished data stage, one after the other.

    Raises DataError when the folder has no `rows.jsonl` or a line of it is no row.
    """
    file = folder / ROWS_NAME
    if not file.is_file():
        raise DataError(f"{folder} has no {ROWS_NAME}; name a stage of kind `data`")
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            yield _row(file, number, line)


def columns(folder: Path) -> tuple[str, ...]:
    """The columns that the first row has. Raises DataError when there is none."""
    first = next(read_rows(folder), None)
    if first is None:
        raise DataError(f"{folder / ROWS_NAME} has no rows; raise `tasks` or `limit` of the data stage")
    return tuple(first)


def _row(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{number} is no JSON: {error.msg}; make the data stage again") from error
    if not isinstance(row, dict):
        raise DataError(f"{file}:{number} is {type(row).__name__}, not an object; make the data stage again")
    return row


def plain(row: Row) -> dict[str, Any]:
    """Its columns in this order; without `images` where there are none, so that a trainer takes text rows for such."""
    plain = {
        "prompt": row.prompt,
        "completion": row.completion,
        "solution": row.solution,
        "task": row.task,
        "template": row.template,
        "step": row.step,
    }
    return {**plain, "images": list(row.images)} if row.images else plain

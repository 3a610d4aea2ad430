"""One row on its way: its columns, and the pictures that are saved once it is certain that the row is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.data.pictures import Picture, save

__all__ = ["Dropped", "Made", "Sample", "answer_of", "said_by", "with_pictures"]


@dataclass(frozen=True)
class Sample:
    """A row that could be kept."""

    row: dict[str, Any]
    """Its columns as `zoo.data` describes them, without `images`."""
    pictures: tuple[Picture, ...] = ()
    origin: tuple[int, int] | None = None
    """The number of its episode and of its step, for a row that is a step of an episode at hand."""


@dataclass(frozen=True)
class Dropped:
    """A row that cannot be kept."""

    why: str


Made = Iterator[Sample | Dropped]
"""Every row of a source, in an order that is always the same."""


def with_pictures(sample: Sample, out: Path, name: str) -> dict[str, Any]:
    """The row as it is written, its pictures saved as `out/images/NAME-0.png` and so on."""
    if not sample.pictures:
        return sample.row
    names = [save(picture, out, f"{name}-{at}") for at, picture in enumerate(sample.pictures)]
    return {**sample.row, "images": names}


def said_by(row: dict[str, Any]) -> Iterator[str]:
    """Every text of a row: of its messages, or the plain one."""
    for name in ("prompt", "completion", "messages"):
        for message in row.get(name) or ():
            yield str(message.get("content") or "")
    if "text" in row:
        yield row["text"]


def answer_of(row: dict[str, Any]) -> str | None:
    """What the assistant says in a row of `prompt` and `completion`; None for other rows."""
    completion = row.get("completion")
    return str(completion[0]["content"]) if completion else None

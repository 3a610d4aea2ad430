"""Tables of an evaluation as files: CSV and XLSX, one row a group and measure, with sample and interval."""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from importlib.util import find_spec
from pathlib import Path

from zoo.errors import EnvironmentFailure
from zoo.playground.episodes import EpisodeRecord
from zoo.playground.scores import groups, measures

__all__ = ["COLUMNS", "Row", "require_xlsx", "rows", "write_csv", "write_xlsx"]

COLUMNS = ("by", "group", "measure", "value", "unit", "n", "low95", "high95")
_EPISODE_COLUMNS = (
    "number",
    "task",
    "app",
    "kind",
    "instruction",
    "success",
    "ended",
    "steps",
    "expert steps",
    "seconds",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One measured number of one group."""

    by: str
    group: str
    measure: str
    value: float
    unit: str
    n: int | None
    low: float | None
    high: float | None


def rows(records: Sequence[EpisodeRecord]) -> list[Row]:
    """Every measure of every group."""
    return [
        Row(group.by, group.name, name, metric.value, metric.unit, metric.n, metric.low, metric.high)
        for group in groups(records)
        for name, metric in measures(group.records).items()
    ]


def require_xlsx() -> None:
    """Raises EnvironmentFailure when what writes XLSX is not installed: to be known before hours of episodes."""
    if find_spec("openpyxl") is None:
        raise EnvironmentFailure("openpyxl, which writes table.xlsx, is not installed: pip install 'edgezoo[eval]'")


def write_csv(records: Sequence[EpisodeRecord], file: Path) -> None:
    """Write the measures, whole or not at all."""
    part = file.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows(astuple(row) for row in rows(records))
    part.replace(file)


def write_xlsx(records: Sequence[EpisodeRecord], file: Path) -> None:
    """Write the measures and, on a second sheet, the episodes, whole or not at all.

    Needs openpyxl, see `require_xlsx`.
    """
    from openpyxl import Workbook

    book = Workbook()
    first = book.active
    first.title = "measures"
    second = book.create_sheet("episodes")
    for sheet, head, lines in (
        (first, COLUMNS, [astuple(row) for row in rows(records)]),
        (second, _EPISODE_COLUMNS, [_episode(record) for record in records]),
    ):
        sheet.append(head)
        for line in lines:
            sheet.append([_plain(value) for value in line])
        sheet.freeze_panes = "A2"
    part = file.with_suffix(".part")
    book.save(part)
    part.replace(file)


def _episode(record: EpisodeRecord) -> tuple[object, ...]:
    seconds = sum(step.seconds for step in record.steps)
    known = (record.number, record.task, record.app, record.kind, record.instruction, record.success, record.ended)
    return (*known, len(record.steps), record.expert_steps, seconds)


def _plain(value: object) -> object:
    """A text that a spreadsheet would take for a formula is marked as text; what XML cannot hold is replaced."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if not isinstance(value, str):
        return value
    text = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", value)
    return f"'{text}" if text.startswith(_FORMULA) else text

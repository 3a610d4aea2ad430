"""A comparison to take away: every figure as CSV, and a picture of the table. Both stay in memory."""

import csv
from collections.abc import Sequence
from io import BytesIO, StringIO
from typing import Any

from compare_view import FIGURES, figure_text
from measuring import Column
from workload import Workload

from zoo import machine

__all__ = ["as_csv", "as_picture"]

_COLUMNS = ("model", "figure", "unit", "median", "low_quartile", "high_quartile", "n")
_WIDTH, _MARGIN, _LINE = 1200, 48, 46
_INK, _SOFT, _PAPER, _ACCENT = (20, 23, 31), (100, 108, 124), (255, 255, 255), (67, 56, 202)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(columns: Sequence[Column], workload: Workload) -> bytes:
    """One row a model and figure."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for column in columns:
        name = f"'{column.name}" if column.name.startswith(_FORMULA) else column.name
        for key, one in column.spreads().items():
            writer.writerow((name, key, FIGURES[key][1], one.median, one.low, one.high, one.n))
        writer.writerow((name, "peak_memory_bytes", "bytes", column.peak_memory_bytes, "", "", 1))
        writer.writerow((name, "file_bytes", "bytes", column.bytes, "", "", 1))
        writer.writerow((name, "load_seconds", "s", column.load_seconds, "", "", 1))
        if (share := column.agreement(columns[0], workload.acting)) is not None:
            writer.writerow((name, f"agreement_with_{columns[0].name}", "", share, "", "", len(column.rounds[0])))
    return out.getvalue().encode("utf-8")


def as_picture(title: str, columns: Sequence[Column], workload: Workload) -> bytes:
    """A PNG, 1200 pixels wide, with bars, figures and the machine they were measured on."""
    from PIL import Image, ImageDraw

    rows = len(FIGURES) * (len(columns) * _LINE + 60)
    picture = Image.new("RGB", (_WIDTH, rows + 230), _PAPER)
    draw = ImageDraw.Draw(picture)
    _text(draw, (_MARGIN, 36), title, 38, _INK)
    _text(draw, (_MARGIN, 90), workload.name[:80], 22, _SOFT)
    top = 140
    for key, (name, unit, _) in FIGURES.items():
        top = _chart(draw, top, f"{name}, {unit}", key, columns)
    hardware = machine.hardware()
    _text(draw, (_MARGIN, top + 20), f"{hardware['cpu']}, {hardware['cores']} cores; median (middle half)", 20, _SOFT)
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _chart(draw: Any, top: int, title: str, key: str, columns: Sequence[Column]) -> int:
    _text(draw, (_MARGIN, top), title, 24, _INK)
    found = [(column.name, column.spreads().get(key)) for column in columns]
    most = max((one.high for _, one in found if one), default=1.0) or 1.0
    for at, (name, one) in enumerate(found):
        y = top + 40 + at * _LINE
        _text(draw, (_MARGIN, y), name[:26], 20, _SOFT)
        if one:
            width = int(420 * one.median / most)
            draw.rounded_rectangle((370, y, 370 + max(4, width), y + 26), 6, fill=_ACCENT)
        _text(draw, (810, y), figure_text(one), 20, _INK)
    return top + 60 + len(columns) * _LINE


def _text(draw: Any, at: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]) -> None:
    from PIL import ImageFont

    draw.text(at, text, colour, ImageFont.load_default(size))

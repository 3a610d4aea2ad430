"""The stage `tiny-rows`: a handful of rows in OpenPhone's raw columns, with screenshots small enough for CPU tests.

Each screenshot shows three coloured buttons with numbered marks; the answer taps the one that the instruction names.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

from zoo.actions import Action, write_answer
from zoo.data.rows import ROWS_NAME
from zoo.prompt import system_text
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import AgentSpec, TinyRowsSpec

__all__ = ["run_tiny_rows"]

_WIDTH, _HEIGHT = 112, 84
"""Pixels; multiples of 28, the square that becomes one token of Qwen2.5-VL."""
_COLOURS = ("red", "green", "blue", "orange", "purple")
_BUTTONS = 3


def run_tiny_rows(spec: TinyRowsSpec, ctx: StageContext) -> StageResult:
    """Write `rows.jsonl` and `images/`. Same count and seed, same bytes."""
    rng = Random(f"{ctx.seed} tiny rows")
    (ctx.out / "images").mkdir()
    with (ctx.out / ROWS_NAME).open("w", encoding="utf-8") as file:
        for number in range(spec.count):
            image = f"images/{number:04}.png"
            colours = rng.sample(_COLOURS, _BUTTONS)
            _draw(colours, ctx.out / image)
            file.write(json.dumps(_record(colours, rng.randrange(_BUTTONS), image)) + "\n")
    return StageResult({"rows": Metric(spec.count)})


def _record(colours: list[str], wanted: int, image: str) -> dict[str, Any]:
    colour = colours[wanted]
    assessment = (
        f"Current State: {_BUTTONS} buttons are shown.\n"
        f"Required Change: the {colour} button is pressed.\nAction Need: tap mark {wanted + 1}."
    )
    return {
        "instruction": f"Tap the {colour} button.",
        "input": "History Information: []\n\nCurrent Information: <image>",
        "output": write_answer(f"The {colour} button has mark {wanted + 1}.", assessment, Action("tap", (wanted + 1,))),
        "system": system_text(AgentSpec()),
        "images": [image],
    }


def _draw(colours: list[str], path: Path) -> None:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    pen = ImageDraw.Draw(image)
    height = _HEIGHT // len(colours)
    for row, colour in enumerate(colours):
        top = row * height
        pen.rectangle((4, top + 3, _WIDTH - 4, top + height - 3), fill=colour)
        pen.rectangle((8, top + 7, 22, top + 21), fill="white", outline="black")
        pen.text((12, top + 8), str(row + 1), fill="black")
    image.save(path)

"""What a policy said while it learned: a sample of it, as JSON lines beside the weights.

A file a step in the stage's scratch folder, written whole, so that a step that is made again after a kill is written
over with the same; at the end one file of them all. Bounded: some forty steps of a run, eight rows of each.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["COMPLETIONS_NAME", "collect", "keeper"]

COMPLETIONS_NAME = "completions.jsonl"
_STEPS, _ROWS = 40, 8


def keeper(folder: Path) -> Any:
    """What keeps the answers of a step: called with its number, the number of the last step, and the answers."""

    def keep(step: int, last: int, rows: Sequence[Mapping[str, Any]]) -> None:
        if (step - 1) % max(1, math.ceil(last / _STEPS)):
            return
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{step:09d}.part"
        # Evenly over the batch: its first rows are all answers to the same prompt.
        chosen = rows[:: max(1, math.ceil(len(rows) / _ROWS))]
        text = "".join(json.dumps({"step": step, **row}, ensure_ascii=False) + "\n" for row in chosen)
        part.write_text(text, "utf-8")
        part.replace(folder / f"{step:09d}.jsonl")

    return keep


def collect(folder: Path, file: Path) -> int:
    """Join what was kept into one file, in the order of the steps; returns how many rows."""
    texts = [part.read_text("utf-8") for part in sorted(folder.glob("*.jsonl"))]
    lines = [line for text in texts for line in text.split("\n") if line]  # an answer may hold other line breaks
    file.write_text("".join(line + "\n" for line in lines), "utf-8")
    return len(lines)

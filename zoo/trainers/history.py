"""What a training run logged, step by step: as JSON lines that curves are drawn from, and watched for a rising loss.

The lines are the same whether a run was interrupted or not: what depends on the clock is left out of them.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

__all__ = ["HISTORY_NAME", "Rise", "append", "write"]

HISTORY_NAME = "history.jsonl"
_OF_THE_CLOCK = ("time", "runtime", "per_second", "seconds")


class Rise:
    """A loss that stays far above where it began: above twice its start and one nat more, for many steps in a row.

    A spike passes, and a loss that is no number is found elsewhere. Meant for a negative log-likelihood; GRPO's loss
    begins at zero and says nothing.
    """

    START_STEPS = 5
    STEPS = 20

    def __init__(self) -> None:
        self._start: list[float] = []
        self._above: list[int] = []

    def add(self, step: int, loss: float) -> int | None:
        """Look at one step more; the first step of the rise, once it has lasted long enough."""
        if len(self._start) < self.START_STEPS:
            self._start.append(loss)
            return None
        self._above = [*self._above, step] if loss > self.bound else []
        return self._above[0] if len(self._above) >= self.STEPS else None

    @property
    def start(self) -> float:
        """The mean loss of the first steps, in nats."""
        return mean(self._start)

    @property
    def bound(self) -> float:
        """The loss above which a step counts as risen."""
        return max(2 * self.start, self.start + 1)


def write(history: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Write `history.jsonl`: a step a line, `step` and whatever was logged of it."""
    part = folder / f"{HISTORY_NAME}.part"
    part.write_text("".join(_line(entry) for entry in history if "loss" in entry), "utf-8")
    part.replace(folder / HISTORY_NAME)


def append(entry: Mapping[str, Any], folder: Path) -> None:
    """Add a step, for whoever looks on while it trains."""
    with (folder / HISTORY_NAME).open("a", encoding="utf-8") as file:
        file.write(_line(entry))


def _line(entry: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in entry.items() if not name.endswith(_OF_THE_CLOCK)}
    return json.dumps({"step": kept.pop("step"), **kept}) + "\n"

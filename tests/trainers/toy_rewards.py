"""A reward whose spread the row decides: even tasks are worth 1 whatever is answered, odd ones 1 and 0 by turns."""

from collections.abc import Sequence
from typing import Any


class ByTask:
    __name__ = "by-task"

    def __call__(self, task: Sequence[str], **columns: Any) -> list[float]:
        return [float(int(name.split("-")[1]) % 2 == 0 or number % 2) for number, name in enumerate(task)]


class Nothing:
    """Nobody's answer is ever worth more than another's."""

    __name__ = "nothing"

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float]:
        return [0.5] * len(completions)

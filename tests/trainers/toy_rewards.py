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


class Fading:
    """Full marks until four steps are done, next to none after."""

    __name__ = "fading"

    def __call__(self, completions: Sequence[Any], trainer_state: Any, **columns: Any) -> list[float]:
        worth = 1.0 if trainer_state.global_step < 4 else 0.1
        return [worth + 0.05 * (number % 2) for number in range(len(completions))]

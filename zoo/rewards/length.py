"""What an answer loses by being long: DAPO's soft overlong punishment."""

from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

__all__ = ["OverlongReward"]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class OverlongReward:
    """0 up to `most_tokens - window_tokens`, then falling in a line to -1 at `most_tokens`, and -1 beyond.

    DAPO (arXiv 2503.14476, equation 13) has 20,480 and 4,096. TRL's `get_soft_overlong_punishment` computes the same.

    >>> OverlongReward(20480, 4096)(completion_ids=[[0] * 16384, [0] * 18432, [0] * 20480, [0] * 20481])
    [0.0, -0.5, -1.0, -1.0]
    """

    most_tokens: int
    window_tokens: int

    # TRL logs a reward under this name.
    __name__ = "overlong"

    def __post_init__(self) -> None:
        if not 0 < self.window_tokens <= self.most_tokens:
            raise ValueError(
                f"window_tokens is {self.window_tokens}; write a number from 1 to most_tokens, {self.most_tokens}"
            )

    def __call__(self, completion_ids: Sequence[Sequence[int]], **columns: Any) -> list[float]:
        return [self.score(len(ids)) for ids in completion_ids]

    def score(self, tokens: int) -> float:
        """What an answer of so many tokens is worth."""
        beyond = tokens - (self.most_tokens - self.window_tokens)
        return -min(1.0, max(0.0, beyond / self.window_tokens)) + 0.0  # never -0.0

"""What an episode is worth: success, the way to it, and how its steps were answered.

Called with lists of one entry an episode: `completions` (its answers, messages in order), `completion_ids` (the tokens
of each), `success` and `sub_goals` as the world judged them. An episode whose world broke down is not asked about.
"""

from collections.abc import Sequence
from dataclasses import field
from statistics import mean
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from zoo.actions import parse
from zoo.rewards.answers import FormatReward
from zoo.rewards.length import OverlongReward

__all__ = [
    "EpisodeFormatReward",
    "EpisodeOverlongReward",
    "OutcomeReward",
    "ReadableReward",
    "SubGoalReward",
    "SuccessReward",
]

Answers = Sequence[dict[str, Any]]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SuccessReward:
    """1 when the state of the world is as the task wants it, else 0.

    >>> SuccessReward()(success=[True, False])
    [1.0, 0.0]
    """

    __name__ = "success"

    def __call__(self, success: Sequence[bool], **columns: Any) -> list[float]:
        return [float(won) for won in success]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class OutcomeReward:
    """1 when the task is solved, else -1: the rule of DAPO (arXiv 2503.14476).

    >>> OutcomeReward()(success=[True, False])
    [1.0, -1.0]
    """

    __name__ = "outcome"

    def __call__(self, success: Sequence[bool], **columns: Any) -> list[float]:
        return [1.0 if won else -1.0 for won in success]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SubGoalReward:
    """The share of a task's sub-goals that were reached, 1 when it is solved: AndroidLab's Sub-SR of one task.

    >>> SubGoalReward()(success=[False, True], sub_goals=[(True, False), (True, False)])
    [0.5, 1.0]
    """

    __name__ = "sub-goals"

    def __call__(self, success: Sequence[bool], sub_goals: Sequence[Sequence[bool]], **columns: Any) -> list[float]:
        pairs = zip(success, sub_goals, strict=True)
        return [1.0 if won else sum(reached) / max(1, len(reached)) for won, reached in pairs]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ReadableReward:
    """The share of answers that hold a readable call.

    >>> ReadableReward()(completions=[[{"content": "back()"}, {"content": "hm"}]])
    [0.5]
    """

    __name__ = "readable"

    def __call__(
        self, completions: Sequence[Answers], readable: Sequence[Sequence[bool]] | None = None, **columns: Any
    ) -> list[float]:
        """`readable`, where it is given, says what the world's own reader made of each answer."""
        if readable is not None:
            return [_mean([float(one) for one in answers]) for answers in readable]
        return [_mean([float(parse(answer["content"]) is not None) for answer in answers]) for answers in completions]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class EpisodeFormatReward:
    """The mean of `FormatReward` over an episode's answers."""

    of_answer: FormatReward = field(default_factory=FormatReward)

    __name__ = "format"

    def __call__(self, completions: Sequence[Answers], **columns: Any) -> list[float]:
        return [_mean(self.of_answer([answer["content"] for answer in answers])) for answers in completions]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class EpisodeOverlongReward:
    """The mean of `OverlongReward` over an episode's answers."""

    most_tokens: int
    window_tokens: int

    __name__ = "overlong"

    def __post_init__(self) -> None:
        OverlongReward(self.most_tokens, self.window_tokens)

    def __call__(self, completion_ids: Sequence[Sequence[Sequence[int]]], **columns: Any) -> list[float]:
        of_answer = OverlongReward(self.most_tokens, self.window_tokens)
        return [_mean(of_answer(completion_ids=answers)) for answers in completion_ids]


def _mean(scores: Sequence[float]) -> float:
    """0 for an episode that ended before its first answer."""
    return mean(scores) if scores else 0.0

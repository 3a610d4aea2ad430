"""Episodes with what they are worth, reward by reward."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.trainers.rollouts import Rollout, columns

__all__ = ["Judged", "judged", "named"]


@dataclass(frozen=True)
class Judged:
    """An episode and its worth; both None where the world broke down."""

    rollout: Rollout
    worth: tuple[float, ...] | None
    """One a reward, unweighted."""
    score: float | None
    """Their weighted sum."""

    @property
    def facts(self) -> tuple[float | None, tuple[float, ...] | None, bool, int, str]:
        """Score, worth, success, steps and end: what travels between processes."""
        episode = self.rollout.episode
        return self.score, self.worth, episode.success, len(episode.steps), episode.ended

    def plain(self, names: Sequence[str]) -> dict[str, Any]:
        """As a line of JSON: the task, every answer, and the rewards by name."""
        episode = self.rollout.episode
        return {
            "task": episode.task.id,
            "prompt": episode.task.instruction,
            "answers": [str(step.answer) for step in episode.steps],
            "success": episode.success,
            "ended": episode.ended,
            "rewards": named(names, self.worth or (math.nan,) * len(names)),
        }


def judged(
    made: Sequence[Rollout], rewards: Sequence[Callable[..., Sequence[float]]], weights: Sequence[float]
) -> list[Judged]:
    """What episodes are worth; one whose world broke down is asked of no reward."""
    whole = [one for one in made if one.episode.ended != "error"]
    asked = columns(whole)
    worths = iter(zip(*(reward(**asked) for reward in rewards), strict=True))
    return [
        Judged(one, None, None) if one.episode.ended == "error" else _weighed(one, next(worths), weights)
        for one in made
    ]


def named(names: Sequence[str], worth: Sequence[float]) -> dict[str, float | None]:
    """Rewards by name, rounded for a log; None for one that was not given."""
    pairs = zip(names, worth, strict=True)
    return {name: None if math.isnan(part) else round(part, 6) for name, part in pairs}


def _weighed(rollout: Rollout, worth: tuple[float, ...], weights: Sequence[float]) -> Judged:
    return Judged(rollout, worth, sum(weight * part for weight, part in zip(weights, worth, strict=True)))

"""What a log says of the episodes of one batch: rewards, success, length, ends.

TRL logs rewards of the rows that it is handed; where rows are steps of episodes these mean nothing, and what stands
here takes their place.
"""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

__all__ = ["of_episodes", "of_rewards"]

Facts = Sequence[tuple[float | None, tuple[float, ...] | None, bool, int, str]]
"""Of each episode `zoo.trainers.judged.Judged.facts`."""


def of_rewards(facts: Facts, names: Sequence[str]) -> dict[str, float]:
    """TRL's own entries, of episodes: mean and deviation of the score and of each reward, NaN where there is none."""
    known: list[Any] = [one for one in facts if one[0] is not None]
    entries = _mean_and_width("reward", "reward_std", [score for score, *_ in known])
    for place, name in enumerate(names):
        values = [worth[place] for _, worth, *_ in known]
        entries |= _mean_and_width(f"rewards/{name}/mean", f"rewards/{name}/std", values)
    return entries


def of_episodes(facts: Facts) -> dict[str, float]:
    """Entries that TRL has not: `success`, `episode/steps`, and the share of each end."""
    known = [one for one in facts if one[0] is not None]
    entries = {}
    if known:
        entries["success"] = mean(float(won) for *_, won, _, _ in known)
        entries["episode/steps"] = float(mean(steps for *_, steps, _ in known))
    ends = Counter(ended for *_, ended in facts)
    return entries | {f"episode/{ended}": count / len(facts) for ended, count in ends.items()}


def _mean_and_width(centre: str, width: str, values: Sequence[float]) -> dict[str, float]:
    return {
        centre: mean(values) if values else math.nan,
        width: stdev(values) if len(values) > 1 else math.nan,
    }

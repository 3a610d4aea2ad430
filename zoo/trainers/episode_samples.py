"""Steps of episodes as rows that TRL learns from, each with the advantage of its episode."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from zoo.trainers.rollouts import Answered

__all__ = ["Sample", "bounded", "filled", "handed_out"]


@dataclass(frozen=True)
class Sample:
    """One step."""

    answer: Answered
    advantage: float
    """0 for a row that only fills the batch."""


def bounded(samples: Sequence[Sample], most: int | None, rng: Random) -> list[Sample]:
    """At most so many as memory was set for, in order; `rng` draws which."""
    if most is None or len(samples) <= most:
        return list(samples)
    return [samples[number] for number in sorted(rng.sample(range(len(samples)), most))]


def filled(samples: Sequence[Sample], most: int, split: int, end: int) -> list[Sample]:
    """As many rows as the process that has `most` needs to split them into `split` equal parts, one of each at least.

    What is missing is a stop token that teaches nothing.
    """
    rows = max(1, math.ceil(most / split)) * split
    return [*samples, *[Sample(Answered((end,), (end,), ""), 0.0)] * (rows - len(samples))]


def handed_out(samples: Sequence[Sample], sampled_elsewhere: bool) -> dict[str, Any]:
    """What TRL's `rollout_func` returns of them, with a mask that is 0 where a row only fills the batch.

    Of steps that were `sampled_elsewhere` the log-probabilities too, NaN for a token of which nobody told one.
    """
    answers = [sample.answer for sample in samples]
    return {
        "prompt_ids": [list(answer.prompt_ids) for answer in answers],
        "completion_ids": [list(answer.completion_ids) for answer in answers],
        "logprobs": [_chances(answer) for answer in answers] if sampled_elsewhere else None,
        "env_mask": [[int(bool(sample.advantage))] * len(sample.answer.completion_ids) for sample in samples],
    }


def _chances(answer: Answered) -> list[float]:
    return list(answer.log_probabilities or [math.nan] * len(answer.completion_ids))

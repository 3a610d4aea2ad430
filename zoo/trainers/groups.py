"""The groups of a batch: those that teach nothing give way to others, as DAPO's dynamic sampling has it.

A group is the answers to one logged step, or the episodes of one task. How they are made is the caller's business.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from zoo.schema import DynamicSamplingSpec
from zoo.trainers.advantages import Attempt, Credit, spread
from zoo.trainers.batches import Batch
from zoo.trainers.episode_samples import Sample
from zoo.trainers.judged import Judged
from zoo.trainers.rollouts import attempt
from zoo.trainers.together import Together

__all__ = ["Group", "Row", "Sampling", "group_of_answers", "group_of_episodes"]

Row = Mapping[str, Any]
"""A row of the trainer's dataset."""
By = Literal["score", "success"]
_SAME = 1e-6


@dataclass(frozen=True)
class Group:
    """The answers to one prompt, or the episodes of one task."""

    spread: float
    """The distance of its best score from its worst."""
    teaches: bool
    batch: Batch | None = None
    """Of answers to a logged step: TRL's batch of them."""
    samples: tuple[Sample, ...] = ()
    """Of episodes: the steps that teach."""


@dataclass
class Sampling:
    """The rounds in which one batch's groups are sampled; `dynamic` is None where one round is all there is."""

    dynamic: DynamicSamplingSpec | None
    together: Together
    note: Callable[[str, float], None]
    round: int = 0
    """The round under way: randomness hangs on it."""

    def groups(
        self,
        rows: Sequence[Row],
        size: int,
        make: Callable[[Sequence[Row]], Sequence[Group]],
        draw: Callable[[int], Sequence[Row]],
    ) -> list[Group]:
        """The groups of these rows, `size` rows each; those that teach nothing are replaced as far as the rounds go.

        `make` samples groups of rows, `draw` gives the rows of so many other groups. Every process draws as many as the
        one that lacks most, since TRL gathers rows of one number from each.
        """
        needed = len(rows) // size
        if self.dynamic is None:
            groups = list(make(rows))
            self.note("group_spread", self.together.mean([group.spread for group in groups]))
            return groups
        groups = list(make([*rows, *draw(math.ceil(needed * (self.dynamic.oversample - 1)))]))
        self.note("group_spread", self.together.mean([group.spread for group in groups]))
        while self.round < self.dynamic.rounds and (missing := self.together.most(needed - _teaching(groups))) > 0:
            self.round += 1
            groups += make(draw(missing))
        chosen = sorted(groups, key=lambda group: not group.teaches)[:needed]
        self.note("sampling/rounds", self.round)
        self.note("sampling/groups", self.together.total(len(groups)))
        self.note("sampling/teaching", self.together.mean([float(group.teaches) for group in groups]))
        self.note("sampling/filled", self.together.mean([float(group.teaches) for group in chosen]))
        return chosen


def group_of_answers(
    batch: Batch, attempts: Sequence[Attempt], credit: Callable[[Sequence[Attempt]], Credit] | None, by: By = "score"
) -> Group:
    """Answers to one logged step, with advantages by `credit`, or TRL's own without one; see `_differ` for `by`."""
    distance = spread([attempt.score for attempt in attempts if attempt.score is not None])
    advantages = batch["advantages"]
    if credit:
        advantages = torch.tensor([one for (one,) in credit(attempts).advantages]).to(advantages)
    teaches = distance > _SAME and bool((advantages != 0).any()) and _differ(attempts, by)
    if not teaches:  # rounding leaves a rest of a thousandth where all scores are the same
        advantages = torch.zeros_like(advantages)
    return Group(distance, teaches, {**batch, "advantages": advantages})


def group_of_episodes(seen: Sequence[Judged], credit: Callable[[Sequence[Attempt]], Credit], by: By = "score") -> Group:
    """Episodes of one task: every step that has an advantage is a sample, if the group teaches at all (`_differ`)."""
    attempts = [attempt(one.rollout, one.score) for one in seen]
    credited = credit(attempts)
    samples = tuple(
        Sample(answer, advantage)
        for one, advantages in zip(seen, credited.advantages, strict=True)
        for answer, advantage in zip(one.rollout.answers, advantages, strict=True)
        if advantage and answer.completion_ids and _differ(attempts, by)
    )
    distance = spread([one.score for one in seen if one.score is not None])
    return Group(distance, bool(samples), samples=samples)


def _differ(attempts: Sequence[Attempt], by: By) -> bool:
    """Whether attempts differ in what `DynamicSamplingSpec.by` asks for beside the score: `success` wants both."""
    return by == "score" or len({one.won for one in attempts if one.score is not None}) == 2


def _teaching(groups: Sequence[Group]) -> int:
    return sum(group.teaches for group in groups)

"""From the scores of a group of attempts to an advantage for every turn of them: pure arithmetic, no model.

An attempt is one answer to a logged step (one turn) or one episode in a world (many). The rules are those that
AgentCPM-Explore's published training code applies (OpenBMB/AgentCPM, `AgentRL/src/rollout/mcp/_rewarding.py` and
`sampler.py`), as `zoo.schema.DenoiseSpec` switches them; without it, advantages are TRL's. Unlike there, an attempt
that does not count leaves the baseline too. Not covered: its rank bonus for short successes, and its floor of turns.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import mean, stdev
from typing import Literal

from zoo.schema import DenoiseSpec

__all__ = [
    "LIMITS",
    "Attempt",
    "Credit",
    "Scale",
    "Turn",
    "balanced",
    "credited",
    "group_relative",
    "leave_one_out",
    "spread",
]

LIMITS = frozenset({"length", "rounds", "time"})
"""Ends by a limit, not by the agent or the world."""

_EPSILON = 1e-4  # TRL's, and OpenPhone's, under the deviation
_SAME = 1e-6
Scale = Literal["group", "none"]


@dataclass(frozen=True)
class Turn:
    """One answer."""

    readable: bool = True
    """Whether it held a call."""
    said: int = 1
    """How many times in a row the same text was said by now."""
    gained: bool = False
    """Whether it reached a sub-goal that was not reached before it."""


@dataclass(frozen=True)
class Attempt:
    """One answer or episode of a group."""

    score: float | None
    """None when nothing can be said of it: its world broke down."""
    won: bool
    ended: str
    """`finish`, `world`, `repeat`, or one of `LIMITS`; `error` when the world broke down."""
    turns: tuple[Turn, ...] = (Turn(),)


@dataclass(frozen=True)
class Credit:
    """What a group teaches."""

    advantages: tuple[tuple[float, ...], ...]
    """One for every turn of every attempt; 0 teaches nothing."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many attempts (`errors`, `limits`, `unbalanced`), turns (`unreadable`, `repeated`, `spared`) or groups
    (`flat`) each rule took out."""


def credited(attempts: Sequence[Attempt], rules: DenoiseSpec | None, rng: Random, scale: Scale = "group") -> Credit:
    """The advantage of every turn of a group. `rng` draws what `balance` keeps.

    >>> group = [Attempt(score, score > 0.5, "finish") for score in (1.0, 0.0, 0.0, 0.0)]
    >>> [round(one, 3) for (one,) in credited(group, DenoiseSpec(), Random(0)).advantages]
    [2.0, -0.667, -0.667, -0.667]
    """
    counts: Counter[str] = Counter(errors=sum(attempt.score is None for attempt in attempts))
    known = [number for number, attempt in enumerate(attempts) if attempt.score is not None]
    if spread(_scores(attempts, known)) < max(_SAME, rules.spread if rules else 0.0):
        return Credit(tuple((0.0,) * len(attempt.turns) for attempt in attempts), +(counts + Counter(flat=1)))
    counted = _counted(attempts, known, rules, rng, counts) if rules else known
    values = dict(zip(counted, _values(_scores(attempts, counted), rules, scale), strict=True))
    advantages = tuple(
        _turns(attempt, values.get(number, 0.0), rules, counts) for number, attempt in enumerate(attempts)
    )
    return Credit(advantages, +counts)


def spread(scores: Sequence[float]) -> float:
    """The distance of the best from the worst; 0 for fewer than two."""
    return max(scores) - min(scores) if len(scores) > 1 else 0.0


def leave_one_out(scores: Sequence[float], scale: float = 1.0) -> list[float]:
    """Each score minus the mean of the others', times `scale`; a single one has no advantage.

    >>> leave_one_out([1.0, 0.0, 0.0, 0.0, 0.0])
    [1.0, -0.25, -0.25, -0.25, -0.25]
    """
    if len(scores) < 2:
        return [0.0] * len(scores)
    total, others = sum(scores), len(scores) - 1
    return [scale * (score - (total - score) / others) for score in scores]


def group_relative(scores: Sequence[float], scale: Scale = "group") -> list[float]:
    """TRL's `scale_rewards`: (score - mean) / (standard deviation + 1e-4), or without the division for `none`."""
    if len(scores) < 2:
        return [0.0] * len(scores)
    centre, width = mean(scores), stdev(scores) + _EPSILON if scale == "group" else 1.0
    return [(score - centre) / width for score in scores]


def balanced(won: Sequence[bool], rng: Random) -> list[int]:
    """The places that AgentCPM's `balance_sample` keeps, in order: with m the rarer kind's number, at most m + 1 that
    failed and m + 2 that succeeded, drawn by `rng`."""
    right = [number for number, one in enumerate(won) if one]
    wrong = [number for number, one in enumerate(won) if not one]
    rarer = min(len(right), len(wrong))
    drawn = (rng.sample(right, min(len(right), rarer + 2)), rng.sample(wrong, min(len(wrong), rarer + 1)))
    return sorted([*drawn[0], *drawn[1]])


def _scores(attempts: Sequence[Attempt], numbers: Sequence[int]) -> list[float]:
    return [score for number in numbers if (score := attempts[number].score) is not None]


def _counted(
    attempts: Sequence[Attempt], known: Sequence[int], rules: DenoiseSpec, rng: Random, counts: Counter[str]
) -> list[int]:
    """The attempts that count, in the baseline as in the gradient."""
    counted = list(known)
    if rules.limits == "exclude":
        counted = [number for number in known if attempts[number].won or attempts[number].ended not in LIMITS]
        counts["limits"] += len(known) - len(counted)
    if rules.balance:
        kept = [counted[place] for place in balanced([attempts[number].won for number in counted], rng)]
        counts["unbalanced"] += len(counted) - len(kept)
        counted = kept
    return counted


def _values(scores: Sequence[float], rules: DenoiseSpec | None, scale: Scale) -> list[float]:
    if rules and rules.baseline == "leave-one-out":
        return leave_one_out(scores, rules.scale)
    return group_relative(scores, scale)


def _turns(attempt: Attempt, value: float, rules: DenoiseSpec | None, counts: Counter[str]) -> tuple[float, ...]:
    """An attempt's advantage, turn by turn."""
    if rules is None:
        return (value,) * len(attempt.turns)
    if rules.signed:
        value = max(value, 0.0) if attempt.won else min(value, 0.0)
    correct = max((number for number, turn in enumerate(attempt.turns, 1) if turn.gained), default=0)
    values = []
    for number, turn in enumerate(attempt.turns, 1):
        ceiling = _ceiling(turn, rules) if value > 0 else None
        spared = value < 0 and rules.spare_prefix and not attempt.won and number <= correct
        if reason := ceiling or ("spared" if spared else None):
            counts[reason] += 1
        values.append(0.0 if ceiling or spared else value)
    return tuple(values)


def _ceiling(turn: Turn, rules: DenoiseSpec) -> Literal["unreadable", "repeated"] | None:
    """Why a turn may not have an advantage above 0, however its attempt ended."""
    if rules.unreadable and not turn.readable:
        return "unreadable"
    return "repeated" if rules.repeats is not None and turn.said >= rules.repeats else None

"""What episodes measure: AndroidLab's four (arXiv 2410.24024) and their cost, each with its sample and interval.

Sources of the formulas: `Android-Lab/evaluation/task.py` and `generate_result.py`. Two stand-ins are named: the expert
takes the place of AndroidLab's human in RRR, and equality of text screens that of near-identical screenshots in ROR
where no pictures were taken.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import mean

from zoo.metrics import average, rate
from zoo.playground.episodes import EpisodeRecord, StepRecord
from zoo.records import Metric

__all__ = ["Group", "groups", "measures", "reasonable_operations"]

_LENGTHS = ((1, 3), (4, 6), (7, 10), (11, 15))


@dataclass(frozen=True)
class Group:
    """Episodes that are measured together."""

    by: str
    """`all`, `app` or `length`."""
    name: str
    records: tuple[EpisodeRecord, ...]


def groups(records: Sequence[EpisodeRecord]) -> list[Group]:
    """All episodes, then those of each app, then those of each length of the expert's way (where it is known)."""
    apps: dict[str, list[EpisodeRecord]] = defaultdict(list)
    lengths: dict[str, list[EpisodeRecord]] = defaultdict(list)
    for record in records:
        apps[record.app].append(record)
        if record.expert_steps is not None:
            lengths[_length(record.expert_steps)].append(record)
    ordered = sorted(lengths, key=lambda name: int(name.split()[0]))
    return [
        Group("all", "all", tuple(records)),
        *(Group("app", name, tuple(apps[name])) for name in sorted(apps)),
        *(Group("length", name, tuple(lengths[name])) for name in ordered),
    ]


def measures(records: Sequence[EpisodeRecord]) -> dict[str, Metric]:
    """Every measure of some episodes; one that has no sample is left out.

    An episode that ended by an error of its world counts as not solved and is also counted as an error.

    Raises ValueError when there is no episode.
    """
    steps = [step for record in records for step in record.steps]
    won = [record for record in records if record.success]
    found = {
        "success_rate": rate(len(won), len(records)),
        "sub_goal_rate": _share([record.sub_goal_share for record in records]),
        "reversed_redundancy": _averaged(won, _redundancy, "%"),
        "reasonable_operations": _averaged(records, reasonable_operations, "%"),
        "steps_per_episode": average([len(record.steps) for record in records], "steps"),
        "seconds_per_step": average([step.seconds for step in steps], "s") if steps else None,
        "tokens_per_step": _known([step.tokens for step in steps]),
        "prompt_tokens_per_step": _known([step.prompt_tokens for step in steps]),
        "valid_action_rate": rate(sum(step.action is not None for step in steps), len(steps)) if steps else None,
        "error_rate": rate(sum(record.ended == "error" for record in records), len(records)),
        **_judged(records),
    }
    return {name: metric for name, metric in found.items() if metric is not None}


def reasonable_operations(record: EpisodeRecord) -> float | None:
    """AndroidLab's ROR of one episode, in percent: the share of steps after which the screen was another one.

    By the pictures of the screens where they were taken, else by their texts. The screen after the last step is not
    recorded, as there. None for an episode of fewer than two steps.
    """
    if len(record.steps) < 2:
        return None
    return 100 * mean(_changed(before, after) for before, after in pairwise(record.steps))


def _changed(before: StepRecord, after: StepRecord) -> bool:
    return before.observation != after.observation if after.changed is None else after.changed


def _redundancy(record: EpisodeRecord) -> float | None:
    """AndroidLab's RRR of one completed task, in percent; the expert stands where AndroidLab has a human."""
    return None if record.expert_steps is None else 100 * record.expert_steps / max(1, len(record.steps))


def _share(values: Sequence[float]) -> Metric:
    """The mean of shares; its interval ends where shares do."""
    mean_share = average(values)
    if mean_share.low is None or mean_share.high is None:
        return mean_share
    return replace(mean_share, low=max(0.0, mean_share.low), high=min(1.0, mean_share.high))


def _averaged(
    records: Iterable[EpisodeRecord], measure: Callable[[EpisodeRecord], float | None], unit: str
) -> Metric | None:
    values = [value for record in records if (value := measure(record)) is not None]
    return average(values, unit) if values else None


def _known(counts: Iterable[int | None]) -> Metric | None:
    values = [count for count in counts if count is not None]
    return average(values, "tokens") if values else None


def _judged(records: Sequence[EpisodeRecord]) -> dict[str, Metric | None]:
    """The judge's own rate, and how often it agrees with the state check; what it left open counts in neither."""
    verdicts = [(record.success, record.judge["verdict"]) for record in records if record.judge]
    clear = [(success, verdict) for success, verdict in verdicts if verdict is not None]
    if not clear:
        return {}
    return {
        "judged_success_rate": rate(sum(verdict for _, verdict in clear), len(clear)),
        "judge_agreement": rate(sum(success == verdict for success, verdict in clear), len(clear)),
    }


def _length(steps: int) -> str:
    for low, high in _LENGTHS:
        if steps <= high:
            return f"{low} to {high} steps"
    return f"{_LENGTHS[-1][1] + 1} steps or more"

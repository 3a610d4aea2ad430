"""What training stages logged step by step, of several arms and seeds side by side, and when each reached a level."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from zoo.metrics import rate
from zoo.trainers.history import HISTORY_NAME

__all__ = ["Curve", "of_arms", "reached"]


@dataclass(frozen=True)
class Curve:
    """What is read of a stage's `history.jsonl`."""

    stage: str
    value: str
    """The logged value, such as `success`."""
    level: float
    """Reached as soon as the mean of `over` batches is as high."""
    over: int = 4
    """Batches of episodes whose mean is a point."""
    group: int = 8
    """Episodes of a group; `sampling/groups`, which dynamic sampling logs, is multiplied with it."""
    episodes: int = 32
    """Episodes of a batch that logs none."""


def of_arms(curve: Curve, arms: Mapping[str, Sequence[Path]]) -> list[str]:
    """Markdown lines: the mean of the seeds every `over` batches, then what each seed needed to reach the level."""
    runs = {label: [_read(curve, folder) for folder in folders] for label, folders in arms.items()}
    points = min(len(one) for seeds in runs.values() for one in seeds) // curve.over
    heads = [f"{number * curve.over + 1} to {(number + 1) * curve.over}" for number in range(points)]
    shown = f"`{curve.value}` while training, mean of the seeds, by batches of episodes:"
    lines = ["", shown, "", *_head(["arm", *heads])]
    for label, seeds in runs.items():
        means = [mean(_point(curve, one, number) for one in seeds) for number in range(points)]
        lines.append(f"| {label} | " + " | ".join(f"{one:.2f}" for one in means) + " |")
    told = f"Until the mean of {curve.over} batches reached {curve.level:g}, seed by seed; episodes include those of"
    at_end = f"batches {points * curve.over - curve.over + 1} to {points * curve.over}, all seeds (95 %)"
    lines += ["", f"{told} dynamic sampling's further rounds:", "", *_head(["arm", "batches", "episodes", at_end])]
    for label, seeds in runs.items():
        both = [reached(curve, one) for one in seeds]
        steps, episodes = (", ".join("not reached" if one is None else str(one[at]) for one in both) for at in (0, 1))
        lines.append(f"| {label} | {steps} | {episodes} | {_pooled(curve, seeds, points)} |")
    return lines


def reached(curve: Curve, entries: Sequence[Mapping[str, float]]) -> tuple[int, int] | None:
    """The batch at which the mean of the last `over` steps first was at the level, and the episodes acted by then."""
    episodes = 0
    for number, entry in enumerate(entries, start=1):
        episodes += _episodes(curve, entry)
        last = entries[max(0, number - curve.over) : number]
        if number >= curve.over and mean(one[curve.value] for one in last) >= curve.level:
            return number, episodes
    return None


def _pooled(curve: Curve, runs: Sequence[Sequence[Mapping[str, float]]], points: int) -> str:
    """The last point of all seeds, with Wilson's interval, which takes episodes as independent."""
    last = [entry for entries in runs for entry in entries[(points - 1) * curve.over : points * curve.over]]
    n = sum(_episodes(curve, entry) for entry in last)
    share = rate(round(sum(entry[curve.value] * _episodes(curve, entry) for entry in last)), n)
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%}), n={n}"


def _episodes(curve: Curve, entry: Mapping[str, float]) -> int:
    """How many were acted for a batch."""
    return int(entry.get("sampling/groups", curve.episodes / curve.group) * curve.group)


def _head(names: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]


def _point(curve: Curve, entries: Sequence[Mapping[str, float]], number: int) -> float:
    return mean(entry[curve.value] for entry in entries[number * curve.over : (number + 1) * curve.over])


def _read(curve: Curve, folder: Path) -> list[dict[str, float]]:
    """The steps for which episodes were acted: with several iterations, the others learn from them once more."""
    entries = map(json.loads, (folder / HISTORY_NAME).read_text("utf-8").splitlines())
    return [entry for entry in entries if curve.value in entry]

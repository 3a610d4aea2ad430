"""What a person sees of a run: the plan, one live line a stage, a table at the end."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from zoo.cache import Finished
from zoo.forecast import Forecast
from zoo.plan import PlannedStage
from zoo.records import Metric

__all__ = [
    "LiveWatch",
    "byte_text",
    "curve",
    "forecast_text",
    "metric_text",
    "plan_table",
    "results_table",
    "second_text",
]

_PLAIN_SECONDS = 15.0
_KEY_METRICS = 3
# What a reader looks for first, whatever the stage; records hold their metrics by the alphabet.
_LOOKED_FOR = (
    "success_rate", "top1", "mean_kl", "decode_tokens_per_second", "bytes", "rows", "train_loss", "reward_start",
    "reward_end", "sub_goal_rate", "valid_action_rate", "same_action",
)  # fmt: skip


class LiveWatch:
    """Draws each stage as one live line; where the output is no terminal, a plain line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._spoke = 0.0

    def cached(self, stage: PlannedStage, finished: Finished) -> None:
        """A stage that need not run."""
        self._console.print(
            f"[green]✓[/] {stage.name:<14} [dim]cached, made in {second_text(finished.record.seconds)}[/]"
        )

    def started(self, stage: PlannedStage, log_file: Path, resumed: bool) -> None:
        """A stage begins, or goes on from what a stopped run left."""
        self._spoke = time.monotonic()
        if not self._console.is_terminal:
            self._console.print(
                f"  {stage.name:<14} {'goes on' if resumed else 'starts'}, log: {log_file}", soft_wrap=True
            )
            return
        self._progress = Progress(
            TextColumn("[bold]{task.description:<14}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task(stage.name, total=None, told="goes on" if resumed else "")

    def progressed(self, stage: PlannedStage, step: int, total: int | None, fields: Mapping[str, Any]) -> None:
        """A stage is some steps further."""
        told = "  ".join(f"{name.replace('_per_second', '/s')} {_short(value)}" for name, value in fields.items())
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=step, total=total, told=told)
        elif time.monotonic() - self._spoke > _PLAIN_SECONDS:
            self._spoke = time.monotonic()
            self._console.print(f"  {stage.name:<14} {step}/{total or '?'}  {told}")

    def finished(self, stage: PlannedStage, finished: Finished) -> None:
        """A stage is done."""
        self.close()
        told = "  ".join(f"{name} {metric_text(metric)}" for name, metric in _first(finished.record.metrics))
        self._console.print(f"[green]✓[/] {stage.name:<14} {second_text(finished.record.seconds):>8}  [dim]{told}[/]")

    def close(self) -> None:
        """Take the live line away, also after a stage that failed."""
        if self._progress:
            self._progress.stop()
        self._progress, self._task = None, None


def plan_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The stages of a plan: what is cached, what is to do, and what it needs."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("stage", "kind", "state", "key", "reads", "memory", "disk"):
        table.add_column(heading, justify="right" if heading in ("memory", "disk") else "left")
    for row in rows:
        colour = {"cached": "green", "goes on": "yellow", "unknown": "red", "damaged": "red"}.get(row["state"], "")
        state = f"[{colour}]{row['state']}[/]" if colour else row["state"]
        key = (row["key"] or "?")[:10]
        needs = [byte_text(row[need]) if row[need] else "" for need in ("memory_bytes", "disk_bytes")]
        table.add_row(row["stage"], row["kind"], state, f"[dim]{key}[/]", f"[dim]{', '.join(row['reads'])}[/]", *needs)
    return table


def forecast_text(name: str, known: Forecast) -> str:
    """One line on a training stage: its tokens, its time, and how its batch is shared out."""
    tokens = f"about {known.tokens:,} tokens" if known.tokens else "tokens not known before its rows are there"
    time_ = (
        f"about {second_text(known.seconds)}" if known.seconds else "time not known: nothing like it was trained here"
    )
    batch = known.batch
    shared = f"; a batch is {batch.devices} x {batch.rows} rows in {batch.passes} passes" if batch else ""
    return f"{name}: {tokens}, {time_}{shared}"


def curve(history: Path, width: int = 24) -> str:
    """The loss of a run as a small curve with its two ends: `  5.9 █▆▃▂▁▁ 0.42`; empty for a run without steps."""
    steps = [json.loads(line) for line in history.read_text("utf-8").splitlines() if line.endswith("}")]
    losses = [float(step["loss"]) for step in steps]
    if not losses:
        return ""
    size = max(1, math.ceil(len(losses) / width))
    points = [mean(losses[at : at + size]) for at in range(0, len(losses), size)]
    low, span = min(points), (max(points) - min(points)) or 1.0
    drawn = "".join(_BARS[round((point - low) / span * (len(_BARS) - 1))] for point in points)
    return f"  {_short(losses[0])} {drawn} {_short(losses[-1])}"


_BARS = "▁▂▃▄▅▆▇█"


def results_table(finished: Mapping[str, Finished]) -> Table:
    """What each stage measured first; `recipes status --json` and its record have all of it."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("stage", "seconds", "peak memory", "measured"):
        table.add_column(heading, justify="right" if heading in ("seconds", "peak memory") else "left")
    for name, done in finished.items():
        record = done.record
        measured = "\n".join(_measured(record.metrics))
        table.add_row(name, f"{record.seconds:.1f}", byte_text(record.peak_memory_bytes), measured)
    return table


def metric_text(metric: Metric) -> str:
    """A measured number as a person reads it; a rate, which has no unit, as a percentage with sample and interval."""
    if metric.low is not None and metric.high is not None and metric.unit:
        interval = f"n={metric.n}, 95 % {_short(metric.low)} to {_short(metric.high)}"
        return f"{_short(metric.value)} {metric.unit} ({interval})"
    if metric.low is not None and metric.high is not None:
        return f"{metric.value:.1%} (n={metric.n}, 95 % {metric.low:.1%} to {metric.high:.1%})"
    return f"{_short(metric.value)}{' ' + metric.unit if metric.unit else ''}"


def byte_text(count: int) -> str:
    """Bytes in the largest fitting unit of 1024: `1.5 GiB`."""
    amount, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    return f"{amount:.0f} {units[0]}" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def second_text(seconds: float) -> str:
    """`8.2 s`, `6 min 40 s`."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _short(value: Any) -> str:
    if isinstance(value, float) and abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _first(metrics: Mapping[str, Metric]) -> list[tuple[str, Metric]]:
    place = {name: at for at, name in enumerate(_LOOKED_FOR)}
    return sorted(metrics.items(), key=lambda item: place.get(item[0].rpartition(".")[2], len(place)))[:_KEY_METRICS]


def _measured(metrics: Mapping[str, Metric]) -> list[str]:
    """A line of what was measured of the stage, and one for each file (`q8_0.top1` is of the file q8_0)."""
    by_file: dict[str, dict[str, Metric]] = {}
    for name, metric in metrics.items():
        file, _, of_it = name.rpartition(".") if name.count(".") == 1 else ("", "", name)
        if name.count(".") < 2:
            by_file.setdefault(file, {})[of_it] = metric
    return [
        (f"{file}: " if file else "") + ", ".join(f"{name} {_brief(metric)}" for name, metric in _first(found))
        for file, found in by_file.items()
    ]


def _brief(metric: Metric) -> str:
    """As `metric_text`, without the sample's size; a count is named by its unit alone."""
    if metric.low is not None and metric.high is not None and not metric.unit:
        return f"{metric.value:.1%} ({100 * metric.low:.0f} to {100 * metric.high:.0f})"
    if metric.unit == "bytes":
        return byte_text(int(metric.value))
    return metric_text(metric)

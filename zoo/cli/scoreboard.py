"""What a person sees of an evaluation: a bar while it runs, a table in the end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from zoo.records import Metric, Progress

if TYPE_CHECKING:
    from zoo.playground import EpisodeRecord

__all__ = ["bar", "cell", "score_table"]

_COLUMNS = {
    "success_rate": "SR",
    "sub_goal_rate": "Sub-SR",
    "reversed_redundancy": "RRR",
    "reasonable_operations": "ROR",
    "steps_per_episode": "steps",
    "seconds_per_step": "s/step",
    "tokens_per_step": "tokens",
    "prompt_tokens_per_step": "prompt",
    "valid_action_rate": "valid",
    "judge_agreement": "judge agrees",
}
_SHARES = frozenset({"success_rate", "sub_goal_rate", "valid_action_rate", "judge_agreement"})


@contextmanager
def bar(console: Console, total: int) -> Iterator[Progress]:
    """A live bar of episodes; a plain line every tenth where the output is no terminal."""
    if not console.is_terminal:
        yield _tenths(console, total)
        return
    columns = (TextColumn("episodes"), BarColumn(24), MofNCompleteColumn(), TextColumn("{task.fields[told]}"))
    with Bar(*columns, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console) as live:
        task = live.add_task("", total=total, told="")

        def told(step: int, total: int | None = None, **fields: float | str) -> None:
            live.update(task, completed=step, told=_fields(fields))

        yield told


def _tenths(console: Console, episodes: int) -> Progress:
    spoken = {0}

    def told(step: int, total: int | None = None, **fields: float | str) -> None:
        if (tenth := step * 10 // episodes) not in spoken:
            spoken.add(tenth)
            console.print(f"  {step}/{episodes}  {_fields(fields)}", highlight=False)

    return told


def _fields(fields: dict[str, float | str]) -> str:
    return "  ".join(f"{name} {value}" for name, value in fields.items())


def score_table(records: "Sequence[EpisodeRecord]") -> Table:
    """Groups down, measures across; each with its sample and 95 % interval."""
    from zoo.playground import groups, measures

    measured = [(group, measures(group.records)) for group in groups(records)]
    shown = {name: head for name, head in _COLUMNS.items() if any(name in metrics for _, metrics in measured)}
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("", "n", *shown.values()):
        # A narrow terminal folds the cells: a figure that is cut off is none.
        justify: Literal["left", "right"] = "left" if heading == "" else "right"
        table.add_column(heading, justify=justify, min_width=len(heading), overflow="fold")
    for group, metrics in measured:
        n = len(group.records)
        cells = [cell(name, metrics[name], n) if name in metrics else "" for name in shown]
        table.add_row(group.name, str(n), *cells)
    return table


def cell(name: str, metric: Metric, row_n: int) -> str:
    """A value over its 95 % interval, and the size of its sample where it is another than the row's.

    >>> cell("success_rate", Metric(0.5, n=10, low=0.24, high=0.76), 10)
    '50.0%\\n[dim]24..76[/]'
    """
    scale, mark = (100, "%") if name in _SHARES else (1, "")
    digits = 3 if name == "seconds_per_step" else 1
    text = f"{metric.value * scale:.{digits}f}{mark}"
    below = []
    if metric.low is not None and metric.high is not None:
        fewer = digits if metric.high * scale < 20 else 0
        below.append(f"{metric.low * scale:.{fewer}f}..{metric.high * scale:.{fewer}f}")
    if metric.n != row_n:
        below.append(f"n={metric.n}")
    return f"{text}\n[dim]{' '.join(below)}[/]" if below else text

"""What a person sees of an evaluation: a bar while it runs, a table in the end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from zoo.records import Metric, Progress

if TYPE_CHECKING:
    from zoo.playground import EpisodeRecord

__all__ = ["bar", "cell", "score_table"]

_COLUMNS = {
    "success_rate": "SR %",
    "sub_goal_rate": "Sub-SR",
    "reversed_redundancy": "RRR",
    "reasonable_operations": "ROR",
    "judge_agreement": "judge agrees %",
    "steps_per_episode": "steps",
    "seconds_per_step": "s/step",
    "tokens_per_step": "tokens",
    "valid_action_rate": "valid %",
    "prompt_tokens_per_step": "prompt",
}
"""What is shown, the most important first: a narrow terminal has no room for the last."""
_RATES = frozenset({"success_rate", "valid_action_rate", "judge_agreement"})
"""What is counted, not averaged; the intervals of averages would take the room of the measures."""
_GAP = 2


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


def score_table(records: "Sequence[EpisodeRecord]", width: int) -> Table:
    """Groups down, measures across, in at most `width` characters; rates with their 95 % intervals.

    Measures without room are named under the table; all of them, with sample and interval, are in `table.csv`.
    """
    columns, left_out = _fitting(records, width)
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, _GAP, 0, 0), caption_justify="left")
    for at, column in enumerate(columns):
        table.add_column(column[0], justify="left" if at == 0 else "right", no_wrap=at > 0, overflow="fold")
    for row in zip(*(column[1:] for column in columns), strict=True):
        table.add_row(row[0], *map(_dimmed, row[1:]))
    if left_out:
        table.caption = f"in table.csv alone: {', '.join(left_out)}"
    return table


def _fitting(records: "Sequence[EpisodeRecord]", width: int) -> tuple[list[list[str]], list[str]]:
    """The columns, each with its heading first, and the headings of those from the first without room on."""
    from zoo.playground import groups, measures

    measured = [(group, measures(group.records)) for group in groups(records)]
    columns = [["", *(group.name for group, _ in measured)], ["n", *(str(len(group.records)) for group, _ in measured)]]
    left_out: list[str] = []
    for name, heading in _COLUMNS.items():
        column = [heading, *(cell(name, metrics[name]) if name in metrics else "" for _, metrics in measured)]
        if not any(column[1:]):
            continue
        if left_out or _wide([*columns, column]) > width:
            left_out.append(heading.removesuffix(" %"))
        else:
            columns.append(column)
    return columns, left_out


def cell(name: str, metric: Metric) -> str:
    """A value, and beside a rate its 95 % interval, both in percent.

    >>> cell("success_rate", Metric(0.5, n=10, low=0.24, high=0.76))
    '50.0 24..76'
    >>> cell("seconds_per_step", Metric(0.01234, "s", n=10, low=0.01, high=0.02))
    '0.012'
    """
    if name == "sub_goal_rate":
        return f"{100 * metric.value:.1f}"
    if name not in _RATES:
        return f"{metric.value:.{3 if name == 'seconds_per_step' else 1}f}"
    assert metric.low is not None and metric.high is not None, "a rate has an interval"
    percent = "100" if metric.value == 1 else f"{100 * metric.value:.1f}"
    return f"{percent} {100 * metric.low:.0f}..{100 * metric.high:.0f}"


def _dimmed(text: str) -> str:
    """With the interval of a rate less bright than its value."""
    value, _, interval = text.partition(" ")
    return f"{value} [dim]{interval}[/]" if interval else value


def _wide(columns: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) for column in columns) + _GAP * (len(columns) - 1)

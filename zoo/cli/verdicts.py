"""What `recipes verify` shows of each file, from the rows of `verify.json`, in 80 columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from zoo.cli.display import byte_text

__all__ = ["show", "show_summary"]

_FILE_COLUMNS = 34


def show(console: Console, row: Mapping[str, Any], world: str) -> None:
    """One file: every check, how near it is, what it answers, and the verdict with what to try."""
    console.print(f"\n[bold]{escape(row['file'])}[/]  {row['type']}, {byte_text(row['bytes'])}", highlight=False)
    for check in row["checks"]:
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]-[/]"}[check["passed"]]
        console.print(f"  {mark} {check['name']:<18} [dim]{escape(check['detail'])}[/]", highlight=False)
    if row["agreement"] or row["general"]:
        console.print(_agreement_table(row, world))
    _show_actions(console, row)
    if row["passed"]:
        console.print(f"  [bold green]PASS[/] it is the checkpoint, within the gate of {row['type']}", highlight=False)
        return
    console.print("  [bold red]FALLS SHORT[/]", highlight=False)
    for line in row["failures"]:
        style = "yellow" if line.startswith("try: ") else "red"
        console.print(f"    [{style}]{escape(line)}[/]", highlight=False)


def _agreement_table(row: Mapping[str, Any], world: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 1))
    table.add_column("next token", no_wrap=True)
    for heading in ("positions", "same top-1", "mean KL", "p99 KL", "max KL", "perplexity"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, measured in ((f"on the {world}", row["agreement"]), ("on general text", row["general"])):
        if measured:
            table.add_row(name, *_cells(measured))
    gate = row["gate"]
    ratio = f"≤ x {gate['perplexity_ratio']:g}" if gate["perplexity_ratio"] else ""
    least = [f"≥ {gate['top1']:.1%}", f"≤ {gate['mean_kl']:.0e}", "", "", ratio]
    table.add_row(f"gate of {row['type']}", "", *least, style="dim")
    return table


def _cells(measured: Mapping[str, Any]) -> list[str]:
    numbers = [measured[name] for name in ("mean_kl", "p99_kl", "max_kl")]
    shown = ["no number" if number is None else f"{number:.1e}" for number in numbers]
    ratio = measured["perplexity_ratio"]
    return [
        f"{measured['positions']:,}",
        f"{measured['top1']:.2%}",
        *shown,
        "no number" if ratio is None else f"x {ratio:.4f}",
    ]


def _show_actions(console: Console, row: Mapping[str, Any]) -> None:
    if actions := row["actions"]:
        same = f"same action in {actions['same']} of {actions['called']}" if actions["called"] else "no action called"
        valid = f"readable calls: checkpoint {actions['called']}, file {actions['readable']} of {actions['steps']}"
        console.print(f"  [dim]answers[/]  {same}; {valid}", highlight=False)
    if tasks := row["tasks"]:
        low, high = tasks["success_rate"]["low"], tasks["success_rate"]["high"]
        both = f"checkpoint {tasks['reference_successes']}, file {tasks['successes']} of {tasks['tasks']} completed"
        console.print(f"  [dim]tasks[/]    {both} (file: 95 % {low:.0%} to {high:.0%})", highlight=False)


def show_summary(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a file, where there are several: the worse of the two kinds of text, and the verdict."""
    if len(rows) < 2:
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 1))
    table.add_column("file", no_wrap=True, max_width=_FILE_COLUMNS)
    for heading in ("size", "same top-1", "mean KL"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        verdict = "[green]PASS[/]" if row["passed"] else "[red]FALLS SHORT[/]"
        table.add_row(escape(row["file"]), byte_text(row["bytes"]), *_worst(row), verdict)
    console.print()
    console.print(table)


def _worst(row: Mapping[str, Any]) -> tuple[str, str]:
    measured = [one for one in (row["agreement"], row["general"]) if one]
    if not measured:
        return "not run", "not run"
    kls = [one["mean_kl"] for one in measured]
    kl = "no number" if None in kls else f"{max(kls):.1e}"
    return f"{min(one['top1'] for one in measured):.2%}", kl

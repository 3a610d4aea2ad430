"""A comparison as HTML: a table, bars, both answers as they were said, and what it was measured on."""

import json
from collections.abc import Sequence
from html import escape

from measuring import Column, Spread
from workload import Workload

from zoo import machine

__all__ = ["FIGURES", "bars", "conditions", "figure_text", "replay", "table"]

FIGURES = {
    "first_token_seconds": ("First token", "s", False),
    "prefill_tokens_per_second": ("Reading the prompt", "tokens/s", True),
    "decode_tokens_per_second": ("Writing the answer", "tokens/s", True),
    "step_seconds": ("Whole answer", "s", False),
}
"""Name -> what it is called, its unit, and whether more is better."""


def table(columns: Sequence[Column], workload: Workload) -> str:
    """One column a model, one row a figure."""
    heads = "".join(f'<th scope="col">{escape(column.name)}</th>' for column in columns)
    spreads = [column.spreads() for column in columns]
    rows = [
        _row(f"{name}, {unit}", [_cell(found.get(key)) for found in spreads])
        for key, (name, unit, _) in FIGURES.items()
    ]
    rows += [
        _row("Most memory, MB", [_megabytes(column.peak_memory_bytes) for column in columns]),
        _row("File, MB", [_megabytes(column.bytes) for column in columns]),
        _row("Opening, s", [f"{column.load_seconds:.2f}" for column in columns]),
        _row(_agreement_name(workload, columns[0]), [_share(column, columns[0], workload) for column in columns]),
    ]
    body = "".join(rows)
    cells = f"<table><thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{cells}</div>'


def bars(columns: Sequence[Column]) -> str:
    """A bar for each model and figure: its median, and a line over the middle half of what was measured."""
    spreads = [(column.name, column.spreads()) for column in columns]
    charts = []
    for key, (name, unit, more) in FIGURES.items():
        found = [(label, figures[key]) for label, figures in spreads if key in figures]
        if found:
            most = max(one.high for _, one in found) or 1.0
            lines = "".join(_bar(label, one, most) for label, one in found)
            better = "more is better" if more else "less is better"
            charts.append(f"<figure><figcaption>{name}, {unit} <span>{better}</span></figcaption>{lines}</figure>")
    return f'<div class="bars">{"".join(charts)}</div>'


def replay(columns: Sequence[Column], workload: Workload) -> str:
    """The first round's answers, which the page's script says again at the speed at which they were said."""
    if not all(column.rounds for column in columns):
        return ""
    boxes = []
    for column in columns:
        pieces: list[tuple[str, float]] = []
        start = 0.0
        for said in column.rounds[0]:
            pieces += [(text, round(start + at, 4)) for text, at in said.pieces]
            pieces.append(("\n\n", round(start + said.seconds, 4)))
            start += said.seconds
        data = escape(json.dumps(pieces[:-1], ensure_ascii=False), quote=True)
        boxes.append(
            f"<section><h2>{escape(column.name)} <span>{start:.2f} s</span></h2>"
            f'<pre tabindex="0" role="region" aria-label="What {escape(column.name, quote=True)} answered" '
            f'data-pieces="{data}"></pre>'
            "</section>"
        )
    what = "its calls on every screen" if workload.acting else "its answer"
    return (
        f'<div class="replayed"><p>Each says {what} at the speed at which it was said. '
        f'<button type="button" data-again>Play again</button></p><div class="side">{"".join(boxes)}</div></div>'
    )


def conditions(columns: Sequence[Column], workload: Workload, context: int) -> str:
    """The machine, the threads, the context and the versions."""
    hardware, versions = machine.hardware(), machine.versions(("edgezoo", "xllamacpp", "onnxruntime", "torch"))
    threads = ", ".join(f"{column.name}: {column.threads or 'its own choice'}" for column in columns)
    samples = ", ".join(f"{len(column.answers)}" for column in columns)
    parts = [
        f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_bytes'] / 2**30:.0f} GiB",
        f"threads {threads}",
        f"context {context}",
        f"answers of at most {workload.tokens} tokens, greedy",
        f"answers measured: {samples}",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
    ]
    how = "Interleaved, one at a time; median (middle half). Other visitors' steps come between, never at once."
    return f'<p class="conditions">{escape(" · ".join(parts))}<br>{how}</p>'


def figure_text(one: Spread | None) -> str:
    """A median with its middle half, as people read it."""
    if one is None:
        return "not measured"
    return f"{_number(one.median)} ({_number(one.low)} to {_number(one.high)})"


def _row(name: str, cells: Sequence[str]) -> str:
    return f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _cell(one: Spread | None) -> str:
    if one is None:
        return '<span class="none">not measured</span>'
    return f"<b>{_number(one.median)}</b> <span>({_number(one.low)} to {_number(one.high)})</span>"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f}" if count else '<span class="none">unknown</span>'


def _agreement_name(workload: Workload, first: Column) -> str:
    return f"Same {'call' if workload.acting else 'text'} as {first.name}"


def _share(column: Column, first: Column, workload: Workload) -> str:
    share = column.agreement(first, workload.acting)
    return "-" if column is first or share is None else f"{100 * share:.0f} % of {len(column.rounds[0])}"


def _bar(label: str, one: Spread, most: float) -> str:
    width, low, high = (100 * value / most for value in (one.median, one.low, one.high))
    return (
        f'<div class="bar"><span class="name">{escape(label)}</span><span class="track">'
        f'<span class="fill" style="width:{width:.1f}%"></span>'
        f'<span class="range" style="left:{low:.1f}%;width:{max(0.3, high - low):.1f}%"></span></span>'
        f'<span class="value">{_number(one.median)}</span></div>'
    )

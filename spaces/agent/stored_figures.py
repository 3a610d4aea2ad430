"""What was measured when the model was made, and what others published, as HTML tables. Nothing is measured here."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from zoo.records import Metric, StageRecord

__all__ = ["NOT_RUN", "latency_table", "metric_text", "published_tables", "record_line", "table_html"]

NOT_RUN = '<span class="none">not run</span>'
_COSTS = {
    "load_seconds": "opening",
    "first_token_seconds": "first token",
    "prefill_tokens_per_second": "reading the prompt",
    "decode_tokens_per_second": "writing the answer",
    "step_seconds": "a step",
    "peak_memory_bytes": "most memory",
    "threads": "threads",
}


def latency_table(records: Sequence[StageRecord]) -> str:
    """The figures of the run's own latency stages, a row a file."""
    head = "<h2>What the files cost, as the run measured it</h2>"
    if not records:
        return (
            f'{head}<p class="quiet">{NOT_RUN}: the run behind this page did not measure it. Measure here, below.</p>'
        )
    rows = [row for record in records for row in _rows(record)]
    lines = "".join(record_line(record) for record in records)
    return f"{head}{table_html(['file', *_COSTS.values()], rows)}{lines}"


def _rows(record: StageRecord) -> list[list[str]]:
    types = list(dict.fromkeys(name.partition(".")[0] for name in record.metrics if "." in name))
    return [
        [escape(kind), *(metric_text(record.metrics.get(f"{kind}.{figure}")) for figure in _COSTS)]
        for kind in types
        if any(f"{kind}.{figure}" in record.metrics for figure in _COSTS)
    ]


def published_tables(told: Sequence[Mapping[str, Any]]) -> str:
    """Figures that others published, each with its source."""
    parts = []
    for one in told:
        rows = [[escape(cell) for cell in row] for row in one["rows"]]
        parts.append(
            f"<h2>{escape(one['title'])}</h2>{table_html(one['columns'], rows)}"
            f'<p class="quiet"><b>Not measured here.</b> {escape(one["source"])}.</p>'
        )
    return "".join(parts)


def table_html(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column names its rows. Cells are HTML, heads are text."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{table}</div>'


def metric_text(metric: Metric | None) -> str:
    """A measured number with its interval and sample; `not run` where there is none."""
    if metric is None:
        return NOT_RUN
    if metric.unit == "bytes":
        return f"{metric.value / 1e6:,.0f} MB"
    value = f"{metric.value:,.0f}" if abs(metric.value) >= 100 else f"{metric.value:.3g}"
    reach = ""
    if metric.low is not None and metric.high is not None:
        reach = f" <span>({metric.low:.3g} to {metric.high:.3g})</span>"
    unit = f" {escape(metric.unit)}" if metric.unit else ""
    return f"{value}{unit}{reach}"


def record_line(record: StageRecord) -> str:
    """Where figures come from: stage, seed, machine, versions."""
    hardware = record.hardware
    machine = f"{hardware.get('cpu', 'unknown')}, {hardware.get('cores', '?')} cores"
    versions = ", ".join(
        f"{name} {record.versions[name]}" for name in ("torch", "xllamacpp", "onnxruntime") if name in record.versions
    )
    text = f"stage {record.name}, seed {record.seed}, {record.started[:10]}, {machine}; {versions}"
    return f'<p class="quiet">{escape(text)}</p>'

"""Numbers as words and rows as aligned Markdown. What has no number says *not run*."""

import re
from collections.abc import Sequence

from zoo.records import Metric

__all__ = ["NOT_RUN", "fenced", "figure", "interval", "number", "percent", "size", "span", "table"]

NOT_RUN = "*not run*"

_ALIGN = {"l": ":--", "r": "--:"}


def percent(metric: Metric | None) -> str:
    """A share between 0 and 1 in percent.

    >>> percent(Metric(0.625)), percent(None)
    ('62.5 %', '*not run*')
    """
    return NOT_RUN if metric is None else f"{100 * metric.value:.1f} %"


def interval(metric: Metric | None) -> str:
    """The 95 % interval of a share, in percent."""
    if metric is None or metric.low is None or metric.high is None:
        return NOT_RUN
    return f"{100 * metric.low:.1f} to {100 * metric.high:.1f} %"


def figure(metric: Metric | None, digits: int = 3) -> str:
    """A measured number with its unit; whole numbers in full, others with so many significant digits.

    >>> figure(Metric(1840, "rows")), figure(Metric(0.00429)), figure(Metric(51_234.6, "tokens"))
    ('1,840 rows', '0.00429', '51,235 tokens')
    """
    return NOT_RUN if metric is None else f"{number(metric, digits)} {metric.unit}".strip()


def number(metric: Metric | None, digits: int = 3) -> str:
    """`figure` without the unit, for a column whose heading says it."""
    if metric is None:
        return NOT_RUN
    whole = float(metric.value).is_integer() or abs(metric.value) >= 10**digits
    return f"{metric.value:,.0f}" if whole else f"{metric.value:.{digits}g}"


def size(count: int) -> str:
    """Bytes in the largest binary unit that leaves a number of at least 1.

    >>> size(144_811_072), size(512)
    ('138.1 MiB', '512 B')
    """
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):  # noqa: B007  the last unit is used after the loop
        if amount < 1024:
            break
        amount /= 1024
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def span(seconds: float) -> str:
    """A length of time.

    >>> span(0.42), span(75), span(3725)
    ('0.4 s', '1 min 15 s', '1 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A Markdown table whose source is aligned too. `align` has one letter a column: `l` or `r`.

    >>> print(table(["file", "bytes"], [["a|b", "7"]], "lr"))
    | file | bytes |
    | :--- | ----: |
    | a\\|b |     7 |
    """
    cells = [[_cell(cell) for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]
    rule = [_ALIGN[letter].replace("--", "-" * (width - 1)) for letter, width in zip(align, widths, strict=True)]
    lines = [_line(cells[0], widths, align), f"| {' | '.join(rule)} |"]
    return "\n".join(lines + [_line(row, widths, align) for row in cells[1:]])


def fenced(text: str, language: str) -> str:
    """Text as a code block, whatever backticks it holds itself."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _line(row: Sequence[str], widths: Sequence[int], align: str) -> str:
    padded = (
        cell.rjust(width) if letter == "r" else cell.ljust(width)
        for cell, width, letter in zip(row, widths, align, strict=True)
    )
    return f"| {' | '.join(padded)} |"

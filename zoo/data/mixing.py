"""Rows of several sources by weight: which ones, and how many of each, is decided by the seed alone.

No row is taken twice. Without a limit there are as many rows as the source that runs out first allows; with one,
exactly so many, or the stage says which source has too few. Duplicates are looked for within a source.
"""

from collections import Counter
from collections.abc import Callable, Sequence, Set
from functools import partial
from math import floor
from pathlib import Path
from random import Random
from typing import Any

from zoo.data.chats import chats
from zoo.data.filters import choose, drawn
from zoo.data.openphone import openphone_rows
from zoo.data.samples import Made
from zoo.data.texts import texts
from zoo.errors import DataError
from zoo.records import StageContext
from zoo.schema import DataSpec, Share

__all__ = ["counts_of", "mixed"]

_ROUNDING = 1e-9


def mixed(spec: DataSpec, ctx: StageContext) -> tuple[Callable[[], Made], list[dict[str, Any]], Counter[str]]:
    """The mixture (gone through anew at each call), a line for each source, and what was dropped of all.

    Rows of a source keep their order; which source comes next is drawn with the seed.

    Raises DataError when a source has fewer rows than its share.
    """
    sources: list[Callable[[], Made]] = [
        partial(_rows, spec, share, ctx.inputs[f"mix.{index}.rows"]) for index, share in enumerate(spec.mix)
    ]
    choices = [choose(made(), spec.filters, None, ctx.seed + at) for at, made in enumerate(sources)]
    names = [str(share.rows) for share in spec.mix]
    usable = [sorted(choice.positions) for choice in choices]
    counts = counts_of([share.weight for share in spec.mix], [len(one) for one in usable], spec.limit, names)
    taken = [
        frozenset(drawn(positions, count, ctx.seed + at, "share") if count else ())
        for at, (positions, count) in enumerate(zip(usable, counts, strict=True))
    ]
    order = [at for at, count in enumerate(counts) for _ in range(count)]
    Random(f"{ctx.seed} mixture").shuffle(order)

    def made() -> Made:
        left = [_at(source(), positions) for source, positions in zip(sources, taken, strict=True)]
        for index in order:
            yield next(left[index])

    table = [
        {"source": name, "weight": share.weight, "usable": len(there), "rows": count}
        for name, share, there, count in zip(names, spec.mix, usable, counts, strict=True)
    ]
    return made, table, sum((choice.dropped for choice in choices), Counter[str]())


def counts_of(weights: Sequence[float], sizes: Sequence[int], limit: int | None, names: Sequence[str]) -> list[int]:
    """How many rows of each source: shares of the total, rounded so that they add up (largest remainders first).

    Raises DataError when a source has fewer rows than its share.

    >>> counts_of([0.7, 0.3], [70, 90], None, ["a", "b"])
    [70, 30]
    """
    shares = [weight / sum(weights) for weight in weights]
    most = min(floor(size / share + _ROUNDING) for size, share in zip(sizes, shares, strict=True) if share)
    total = limit or most
    exact = [share * total for share in shares]
    counts = [floor(value + _ROUNDING) for value in exact]
    by_remainder = sorted(range(len(counts)), key=lambda at: (counts[at] - exact[at], at))
    for at in by_remainder[: total - sum(counts)]:
        counts[at] += 1
    for name, count, size in zip(names, counts, sizes, strict=True):
        if count > size:
            raise DataError(f"data: {name} has {size} usable rows, its share is {count}; write limit: {most}, or less")
    return counts


def _at(made: Made, positions: Set[int]) -> Made:
    return (one for position, one in enumerate(made) if position in positions)


def _rows(spec: DataSpec, share: Share, source: Path) -> Made:
    if share.format == "openphone":
        return openphone_rows(source)
    return texts(spec, source) if share.format == "text" else chats(source, spec.turns)

"""Which rows of a source are kept, and why how many are not.

A source is gone through once to choose and once to write, so that pictures and long datasets are never all in memory.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from random import Random
from typing import Any

from zoo import fingerprint
from zoo.actions import TAGS, parse, read_answer
from zoo.data.samples import Dropped, Made, Sample, answer_of, said_by
from zoo.schema import FilterSpec

__all__ = ["Choice", "choose", "drawn", "wrong_length"]


@dataclass(frozen=True)
class Choice:
    """The outcome of the first time through."""

    positions: frozenset[int]
    """Of the rows that are kept, over everything that the source made."""
    made: int
    dropped: Counter[str]
    """Reason -> rows. Those that a limit leaves out are no failures and are counted as `beyond the limit`."""


def choose(made: Made, filters: FilterSpec, limit: int | None, seed: int) -> Choice:
    """Go through a source once. `limit`: at most so many rows, drawn with the seed."""
    dropped: Counter[str] = Counter()
    kept: list[tuple[int, str]] = []
    seen: set[str] = set()
    count = 0
    for position, sample in enumerate(made):
        count += 1
        why = sample.why if isinstance(sample, Dropped) else _why_not(sample, filters, seen)
        if why:
            dropped[why] += 1
        else:
            kept.append((position, str(getattr(sample, "row", {}).get("template", ""))))
    few = _of_each_template(kept, filters.per_template, seed)
    chosen = drawn(few, limit, seed)
    _count(dropped, f"more than {filters.per_template} of one template", len(kept) - len(few))
    _count(dropped, "beyond the limit", len(few) - len(chosen))
    return Choice(frozenset(position for position, _ in chosen), count, dropped)


def drawn(rows: list[Any], limit: int | None, seed: int, what: str = "limit") -> list[Any]:
    """At most so many, drawn with the seed, in their old order."""
    if limit is None or limit >= len(rows):
        return rows
    return [rows[position] for position in sorted(Random(f"{seed} {what}").sample(range(len(rows)), limit))]


def wrong_length(row: dict[str, Any], filters: FilterSpec) -> str | None:
    """Why a row's length is wrong; None when it is not."""
    characters = sum(map(len, said_by(row)))
    if filters.most_characters and characters > filters.most_characters:
        return f"longer than {filters.most_characters} characters"
    if filters.least_characters and characters < filters.least_characters:
        return f"shorter than {filters.least_characters} characters"
    return None


def _why_not(sample: Sample, filters: FilterSpec, seen: set[str]) -> str | None:
    row = sample.row
    template = str(row.get("template", ""))
    if filters.templates and not any(fnmatchcase(template, pattern) for pattern in filters.templates):
        return "of another template"
    if filters.strict_answers and not _is_strict(answer_of(row)):
        return "an answer that is not exactly the three tags with a call"
    if why := wrong_length(row, filters):
        return why
    return "said before" if filters.distinct and not _is_new(sample, seen) else None


def _is_strict(answer: str | None) -> bool:
    if answer is None:
        return False
    read = read_answer(answer)
    whole = None not in (read.reasoning, read.assessment, read.called)
    at = [answer.find(f"<{tag}>") for tag in TAGS]
    return whole and not read.extra_text and at == sorted(at) and parse(read.called or "") is not None


def _is_new(sample: Sample, seen: set[str]) -> bool:
    """By what is said and shown; which task it came from does not matter."""
    said = {name: sample.row.get(name) for name in ("prompt", "completion", "messages", "text")}
    shown = [picture.hex() if isinstance(picture, bytes) else str(picture) for picture in sample.pictures]
    digest = fingerprint.of_data([said, shown])
    if digest in seen:
        return False
    seen.add(digest)
    return True


def _of_each_template(kept: list[tuple[int, str]], most: int | None, seed: int) -> list[tuple[int, str]]:
    if most is None:
        return kept
    groups: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for position, template in kept:
        groups[template].append((position, template))
    return sorted(one for name, group in groups.items() for one in drawn(group, most, seed, f"template {name}"))


def _count(dropped: Counter[str], why: str, rows: int) -> None:
    if rows:
        dropped[why] += rows

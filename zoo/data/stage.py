"""The stage `data`: rows of the world's expert, or a dataset with OpenPhone's columns, as `rows.jsonl`."""

from collections import Counter
from random import Random
from typing import Any, TypeVar

from zoo.data.expert import expert_rows
from zoo.data.openphone import rows_at, survey
from zoo.data.rows import write_rows
from zoo.errors import DataError
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import DataSpec

__all__ = ["run"]

T = TypeVar("T")


def run(spec: DataSpec, ctx: StageContext) -> StageResult:
    """Write `rows.jsonl`, and `images/` where there are any. Same spec, seed and inputs, same bytes.

    Raises DataError when nothing is left to learn from, or when a dataset does not have OpenPhone's columns.
    """
    return _from_expert(spec, ctx) if spec.source == "expert" else _from_dataset(spec, ctx)


def _from_expert(spec: DataSpec, ctx: StageContext) -> StageResult:
    rows, episodes = expert_rows(spec, ctx.seed, ctx.progress, ctx.out)
    counts = write_rows(ctx.out, _limited(rows, spec.limit, ctx.seed))
    return _result(counts, {"episodes": dict(sorted(episodes.items()))})


def _from_dataset(spec: DataSpec, ctx: StageContext) -> StageResult:
    """Two passes, so that pictures are never all in memory: which rows are usable, then those that are kept."""
    if "dataset" not in ctx.inputs:
        raise DataError("data: `source: dataset` names no dataset; write `dataset: owner/name@revision`, or a path")
    source = ctx.inputs["dataset"]
    usable, dropped = survey(source)
    kept = frozenset(_limited(usable, spec.limit, ctx.seed))
    if dropped:
        ctx.log.warning("rows dropped: %s", ", ".join(f"{count} {why}" for why, count in sorted(dropped.items())))
    counts = write_rows(ctx.out, rows_at(source, kept, ctx.out))
    return _result(counts, {"dropped": dict(sorted(dropped.items()))})


def _limited(rows: list[T], limit: int | None, seed: int) -> list[T]:
    """At most so many, drawn with the seed, in their old order."""
    if limit is None or limit >= len(rows):
        return rows
    return [rows[position] for position in sorted(Random(f"{seed} limit").sample(range(len(rows)), limit))]


def _result(counts: Counter[tuple[str, str]], notes: dict[str, Any]) -> StageResult:
    """`tasks` counts those that left a row."""
    templates: Counter[str] = Counter()
    for (template, _), rows in counts.items():
        templates[template] += rows
    table = [{"template": template, "rows": rows} for template, rows in sorted(templates.items())]
    metrics = {"rows": Metric(counts.total()), "tasks": Metric(len(counts))}
    return StageResult(metrics, {**notes, "rows_per_template": table})

"""The stage `data`: rows of whatever source the recipe names, filtered, worded by a teacher where it asks, written."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.data.androidlab import traces
from zoo.data.chats import chats
from zoo.data.expert import expert_trajectories
from zoo.data.filters import Choice, choose, wrong_length
from zoo.data.foresight import foresight_rows
from zoo.data.mixing import mixed
from zoo.data.notes import asked_note, filter_note, teacher_metrics, teacher_notes
from zoo.data.openphone import openphone_rows
from zoo.data.player import kept_answers
from zoo.data.playing import played_trajectories
from zoo.data.reasoning import Teacher, open_teacher, reasoned
from zoo.data.rows import plain, write_rows
from zoo.data.samples import Dropped, Made, Sample, with_pictures
from zoo.data.texts import texts
from zoo.data.trajectories import Trajectory, rows_of
from zoo.errors import DataError
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import DataSpec

__all__ = ["run"]

_TEACHER_FOLDER = "teacher"


@dataclass
class _Source:
    """What rows are made of."""

    made: Callable[[], Made]
    """Goes through all rows from the start; called twice."""
    trajectories: Sequence[Trajectory] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)


def run(spec: DataSpec, ctx: StageContext) -> StageResult:
    """Write `rows.jsonl`, and `images/` where there are any. Same spec, seed and inputs, same bytes, unless an endpoint
    answers.

    Raises DataError when nothing is left to learn from or a dataset does not have the columns of its format, ModelError
    when a model cannot be asked.
    """
    source = _SOURCES[spec.source](spec, ctx)
    # A mixture has filtered and limited each of its sources; what is left is all of it.
    limit = None if spec.source == "mix" else spec.limit
    filters = type(spec.filters)() if spec.source == "mix" else spec.filters
    choice = choose(source.made(), filters, limit, ctx.seed)
    dropped = choice.dropped + Counter(source.notes.pop("dropped", {}))
    if not choice.made and not dropped:
        raise DataError(f"data: the {spec.source} holds no row at all; is it the right one?")
    teacher = _teacher(spec, ctx)
    worded = _worded(spec, ctx, source, choice, teacher, dropped) if teacher else None
    if dropped:
        ctx.log.warning("rows dropped: %s", ", ".join(f"{count} {why}" for why, count in sorted(dropped.items())))
    counts = write_rows(ctx.out, _kept(source, choice, worded, ctx))
    if not counts:
        why = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common()) or "none was made"
        raise DataError(f"data: no row is left to learn from: {why}; raise `tasks` or `tries`, or filter less")
    return _result(spec, counts, dropped, source, teacher)


def _expert(spec: DataSpec, ctx: StageContext) -> _Source:
    trajectories, episodes = expert_trajectories(spec, ctx.seed, ctx.progress, ctx.scratch)
    if spec.predict == "observation":
        notes = {"episodes": dict(sorted(episodes.items()))}
        return _Source(
            lambda: (Sample(plain(row)) for row in foresight_rows(spec, ctx.seed, trajectories)), notes=notes
        )
    return _of_trajectories(spec, trajectories, {"episodes": dict(sorted(episodes.items()))})


def _agent(spec: DataSpec, ctx: StageContext) -> _Source:
    if not (spec.model or spec.export or spec.endpoint):
        raise DataError("data: `source: agent` names nobody; write `model:`, `export:` or `endpoint:`")
    trajectories, fates, metrics = played_trajectories(spec, ctx)
    notes: dict[str, Any] = {"episodes": dict(sorted(fates.items()))}
    if spec.endpoint:
        notes["player"] = asked_note(spec.endpoint, kept_answers(spec.endpoint, ctx))
    if not trajectories:
        shown = ", ".join(f"{count} {fate}" for fate, count in fates.most_common())
        raise DataError(
            f"data: no episode was kept: {shown}; raise `tries` with a `temperature`, or take a better model"
        )
    return _of_trajectories(spec, trajectories, notes, metrics)


def _dataset(spec: DataSpec, ctx: StageContext) -> _Source:
    source = ctx.inputs.get("dataset")
    if source is None and not (spec.format == "text" and spec.package):
        raise DataError("data: `source: dataset` names no dataset; write `dataset: owner/name@revision`, or a path")
    if spec.format == "text":
        notes = {"package": spec.package} if source is None else {}
        return _Source(lambda: texts(spec, source), notes=notes)
    assert source is not None
    if spec.format == "androidlab":
        found = list(traces(source, spec.agent))
        dropped = Counter(one.why for one in found if isinstance(one, Dropped))
        kept = [one for one in found if isinstance(one, Trajectory)]
        return _of_trajectories(spec, kept, {"episodes": {"kept": len(kept)}, "dropped": dropped})
    return _Source(lambda: openphone_rows(source) if spec.format == "openphone" else chats(source, spec.turns))


def _mix(spec: DataSpec, ctx: StageContext) -> _Source:
    made, table, dropped = mixed(spec, ctx)
    return _Source(made, notes={"mix": table, "dropped": dropped})


_SOURCES: Mapping[str, Callable[[DataSpec, StageContext], _Source]] = {
    "expert": _expert,
    "agent": _agent,
    "dataset": _dataset,
    "mix": _mix,
}


def _of_trajectories(
    spec: DataSpec, trajectories: Sequence[Trajectory], notes: dict[str, Any], metrics: dict[str, Metric] | None = None
) -> _Source:
    def made() -> Made:
        for number, trajectory in enumerate(trajectories):
            rows = dict(rows_of(spec.agent, trajectory))
            for at, step in enumerate(trajectory.steps):
                if at in rows:
                    yield Sample(plain(rows[at]), step.pictures, (number, at))
                elif step.action is None and step.is_row:
                    yield Dropped("no call in the answer")

    return _Source(made, trajectories, notes, metrics or {})


def _teacher(spec: DataSpec, ctx: StageContext) -> Teacher | None:
    return open_teacher(spec.reason, spec.agent.style, ctx.scratch / _TEACHER_FOLDER) if spec.reason else None


def _worded(
    spec: DataSpec, ctx: StageContext, source: _Source, choice: Choice, teacher: Teacher, dropped: Counter[str]
) -> dict[int, dict[str, Any]]:
    """Position -> the row with the teacher's words, for those that it found; adds to `dropped` why others are not."""
    chosen = [
        (position, sample)
        for position, sample in enumerate(source.made())
        if position in choice.positions and isinstance(sample, Sample)
    ]
    found = reasoned(spec.agent, teacher, chosen, source.trajectories, ctx.seed, ctx.progress)
    kept = {}
    for position, row in found.items():
        why = f"no fitting answer of the teacher in {teacher.spec.tries} tries" if row is None else None
        if why := why or (wrong_length(row, spec.filters) if row else None):
            dropped[why] += 1
        elif row:
            kept[position] = row
    return kept


def _kept(
    source: _Source, choice: Choice, worded: Mapping[int, dict[str, Any]] | None, ctx: StageContext
) -> Iterator[dict[str, Any]]:
    for position, sample in enumerate(source.made()):
        if position not in choice.positions or not isinstance(sample, Sample):
            continue
        if worded is not None and position not in worded:
            continue
        final = sample if worded is None else Sample(worded[position], sample.pictures)
        yield with_pictures(final, ctx.out, f"{position:06}")


def _result(
    spec: DataSpec, counts: Counter[tuple[str, str]], dropped: Counter[str], source: _Source, teacher: Teacher | None
) -> StageResult:
    """`tasks` counts those that left a row."""
    templates: Counter[str] = Counter()
    for (template, _), rows in counts.items():
        templates[template] += rows
    notes = {
        **source.notes,
        "made": counts.total() + dropped.total(),
        "dropped": dict(sorted(dropped.items())),
        "rows_per_template": [{"template": name, "rows": rows} for name, rows in sorted(templates.items()) if name],
        **filter_note(spec.filters),
    }
    metrics = {"rows": Metric(counts.total()), "tasks": Metric(len(counts)), **source.metrics}
    if teacher:
        metrics |= teacher_metrics(teacher)
        notes |= teacher_notes(teacher)
    return StageResult(metrics, notes)

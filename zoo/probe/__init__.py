"""The stage `probe`: what a model knows of the world in general, and what training made it forget.

General text (eight short passages) and general questions (four answers each) come with the package; their words are in
no recipe's training data. With `against`, the model before is probed the same way and the difference is held to the
recipe's gates. With `rows`, texts of the recipe's own are read too, to show what was learned.

Not covered: long texts, other languages than English, and whatever a benchmark would ask of a larger model.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any, Literal

from zoo.data import read_rows
from zoo.errors import DataError, GateError
from zoo.fingerprint import of_data
from zoo.metrics import average
from zoo.probe.questions import Question, questions
from zoo.probe.scoring import Answers, Losses, answer, read
from zoo.records import Metric, Progress, StageContext, StageResult
from zoo.schema import ProbeSpec
from zoo.serving import open_torch

__all__ = ["REPORT_NAME", "passages", "probe", "questions", "run"]

REPORT_NAME = "probe.json"


def run(spec: ProbeSpec, ctx: StageContext) -> StageResult:
    """Probe `model`, and `against` if there is one; `probe.json` says which questions each answered right.

    Raises GateError, with the table, when more was forgotten than the recipe allows.
    """
    own = _own_texts(spec, ctx) if "rows" in ctx.inputs else ()
    roles = [role for role in ("against", "model") if role in ctx.inputs]
    found = {role: probe(ctx.inputs[role], spec.dtype, own, ctx.device, ctx.progress) for role in roles}
    table = [{"model": "before" if role == "against" else "after", **_row(found[role])} for role in roles]
    metrics = _named(found["model"])
    if "against" in found:
        metrics |= _changes(found["against"], found["model"])
    report = {"table": table, "right": {role: _by_table(answers) for role, (answers, _) in found.items()}}
    for folder in (ctx.scratch, ctx.out):
        (folder / REPORT_NAME).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if failures := _failures(spec, metrics):
        raise GateError("\n".join([*failures, *(_line(row) for row in table)]))
    return StageResult(
        metrics, {"table": table, "texts": of_data([*passages(), *(asked.text for asked in questions())])}
    )


def probe(
    model: Path, dtype: Literal["float32", "bfloat16"], own: Sequence[str], device: str, progress: Progress
) -> tuple[Answers, Mapping[str, Losses]]:
    """What a checkpoint answers, and its losses on `general` text and, where there is any, on `own` text."""
    runtime = open_torch(model, device, dtype)
    try:
        losses = {"general": read(runtime, passages(), progress)}
        if own:
            losses["own"] = read(runtime, own, progress)
        return answer(runtime, questions(), progress), losses
    finally:
        runtime.close()


def passages() -> tuple[str, ...]:
    """General text: English prose on everyday matters, written for this package."""
    text = (files("zoo.probe") / "passages.txt").read_text("utf-8")
    return tuple(passage.strip() for passage in text.split("\n\n"))


def _own_texts(spec: ProbeSpec, ctx: StageContext) -> tuple[str, ...]:
    rows = list(read_rows(ctx.inputs["rows"]))
    if not rows or "text" not in rows[0]:
        raise DataError(f"probe: the rows of {spec.rows} have no `text`; name a stage that makes plain text")
    chosen = rows if len(rows) <= spec.limit else Random(f"{ctx.seed} probe").sample(rows, spec.limit)
    return tuple(row["text"] for row in chosen)


def _named(found: tuple[Answers, Mapping[str, Losses]]) -> dict[str, Metric]:
    answers, losses = found
    named = {"accuracy": answers.accuracy}
    for name, loss in losses.items():
        named |= {f"{name}_perplexity": loss.perplexity, f"{name}_loss": loss.mean}
    return named


def _changes(
    before: tuple[Answers, Mapping[str, Losses]], after: tuple[Answers, Mapping[str, Losses]]
) -> dict[str, Metric]:
    """`drop`: percentage points of accuracy lost, question by question; `..._ratio`: perplexity after over before."""
    pairs = zip(before[0].right, after[0].right, strict=True)
    changes = {"drop": average([100.0 * (was - is_) for was, is_ in pairs], "points")}
    for name, loss in after[1].items():
        ratio = loss.perplexity.value / before[1][name].perplexity.value
        changes[f"{name}_perplexity_ratio"] = Metric(ratio, n=len(loss.nats))
    return changes


def _failures(spec: ProbeSpec, metrics: Mapping[str, Metric]) -> list[str]:
    limits = (("drop", spec.max_drop), ("general_perplexity_ratio", spec.max_perplexity_ratio))
    return [
        f"{name} is {metrics[name].value:.3g}, and at most {limit:g} is allowed; train more gently (a lower "
        "learning_rate, lora, fewer steps), or mix general rows in"
        for name, limit in limits
        if limit is not None and metrics[name].value > limit
    ]


def _row(found: tuple[Answers, Mapping[str, Losses]]) -> dict[str, Any]:
    answers, losses = found
    share = answers.accuracy
    row: dict[str, Any] = {"questions": share.n, "accuracy": share.value, "low": share.low, "high": share.high}
    return {**row, **{f"{name}_perplexity": loss.perplexity.value for name, loss in losses.items()}}


def _line(row: Mapping[str, Any]) -> str:
    read_ = "  ".join(f"{name.replace('_', ' ')} {row[name]:.2f}" for name in row if name.endswith("perplexity"))
    interval = f"95 % {row['low']:.1%} to {row['high']:.1%}"
    return f"  {row['model']:<7} accuracy {row['accuracy']:.1%} (n={row['questions']}, {interval})  {read_}"


def _by_table(answers: Answers) -> dict[str, str]:
    """Table -> `right of all`."""
    asked: list[Question] = questions()
    counts: dict[str, list[bool]] = {}
    for question, right in zip(asked, answers.right, strict=True):
        counts.setdefault(question.table, []).append(right)
    return {table: f"{sum(right)} of {len(right)}" for table, right in counts.items()}

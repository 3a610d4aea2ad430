"""Whether exported files still are the model that was trained; a file beyond its gate fails the run.

Each file is compared with the checkpoint in torch and float32, in the file's own runtime: its structure, its next-token
distributions on held-out steps of the recipe's world and on general text, the functions that it calls, and, if asked,
its success on held-out tasks. The report is `verify.json`, drawn in `verify.svg`.

Covered: GGUF in llama.cpp, text. Not covered: images, which llama.cpp reads through a second file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo import towers
from zoo.errors import GateError, ModelError
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import VerifySpec
from zoo.serving import open_torch
from zoo.verify.gates import gate_of
from zoo.verify.inspection import SPLIT, Material, held_out_steps, inspect, material
from zoo.verify.plot import PLOT_NAME, draw
from zoo.verify.report import REPORT_NAME, FileReport, metrics, row, write
from zoo.verify.structure import Check
from zoo.verify.texts import digest
from zoo.verify.verdict import failures

__all__ = ["PLOT_NAME", "REPORT_NAME", "Material", "held_out_steps", "inspect", "material", "run"]


def run(spec: VerifySpec, ctx: StageContext) -> StageResult:
    """Compare every `model-*.gguf` of the export with the checkpoint and hold it to the gate of its type.

    The report goes to `ctx.out`, and to `ctx.scratch` before anything is raised. A file of an optional type that falls
    short is listed under `withheld` in the notes, all others must pass.

    Raises GateError with every failure of every file: file, measure, value, threshold, what to try.
    """
    export, against = ctx.inputs["export"], ctx.inputs["against"]
    files = {file: _type(file) for file in sorted(export.glob("model-*.gguf"))}
    _check_names(files, spec)
    compared = material(spec.agent, spec.prompts, spec.texts, spec.actions, spec.tasks, ctx.seed)
    with open_torch(against, ctx.device) as reference:
        reports = inspect(reference, files, compared, ctx.progress)
    gates = {report.file: gate_of(report.type, spec.gates, spec.tasks) for report in reports}
    wrong = {report.file: failures(report, gates[report.file]) for report in reports}
    projectors = [_projector(file, against) for file in sorted(export.glob("mmproj*.gguf"))]
    must = {
        **{report.file: wrong[report.file] for report in reports if report.type not in spec.optional},
        **{file: [f"{check.name}: {check.detail}"] for file, check in projectors if check.passed is False},
    }
    data = {
        "passed": not any(must.values()),
        "reference": {"runtime": "torch", "dtype": "float32"},
        "steps": _compared(spec, compared, ctx.seed),
        "files": [
            row(report, gates[report.file], wrong[report.file], report.type in spec.optional) for report in reports
        ],
        "projectors": [{"file": file, "passed": check.passed, "detail": check.detail} for file, check in projectors],
        "towers": towers.changes(ctx.inputs["base"], against).as_data() if "base" in ctx.inputs else None,
    }
    for folder in (ctx.scratch, ctx.out):
        write(folder, data)
        draw(data["files"], folder / PLOT_NAME)
    _refuse(must, ctx.scratch / REPORT_NAME)
    return StageResult(_metrics(reports), _notes(data))


def _compared(spec: VerifySpec, compared: Material, seed: int) -> dict[str, Any]:
    return {
        "compared": len(compared.steps),
        "answered": spec.actions,
        "acted": spec.tasks,
        "split": SPLIT,
        "seed": seed,
        "texts": len(compared.texts),
        "texts_digest": digest(compared.texts),
    }


def _notes(data: Mapping[str, Any]) -> dict[str, Any]:
    """The report without its curves, and two lists for whoever publishes."""
    rows = [{name: value for name, value in one.items() if name != "curves"} for one in data["files"]]
    return {
        "files": rows,
        "passed": [one["file"] for one in rows if one["passed"]],
        "withheld": {one["file"]: one["failures"] for one in rows if not one["passed"]},
        "steps": data["steps"],
        "projectors": data["projectors"],
        "towers": data["towers"],
    }


def _metrics(reports: Sequence[FileReport]) -> dict[str, Metric]:
    measured: dict[str, Metric] = {}
    for report in reports:
        measured |= metrics(report)
    return measured


def _type(file: Path) -> str:
    """`model-Q8_0.gguf` -> `q8_0`."""
    return file.stem.removeprefix("model-").lower()


def _projector(file: Path, checkpoint: Path) -> tuple[str, Check]:
    """Whether a vision file was made of this checkpoint and not of the stock model."""
    try:
        return file.name, Check("projector", True, towers.check_projector(file, checkpoint))
    except ModelError as error:
        return file.name, Check("projector", False, str(error))


def _check_names(files: Mapping[Path, str], spec: VerifySpec) -> None:
    """Every gate and every optional type has a file: what was not measured must not look as if it had passed."""
    types = Counter(files.values())
    if not types:
        raise GateError("the export holds no model-*.gguf, so there is nothing to verify; export one first")
    if unused := sorted(spec.gates.keys() - types.keys()):
        raise GateError(f"a gate for {', '.join(unused)}, but the export has no such file; export it or drop the gate")
    if unused := sorted(set(spec.optional) - types.keys()):
        raise GateError(f"optional names {', '.join(unused)}, but the export has no such file; export it or drop it")


def _refuse(wrong: Mapping[str, Sequence[str]], report: Path) -> None:
    if lines := [f"  {line}" for file, found in wrong.items() for line in ((file + ":", *found) if found else ())]:
        raise GateError("\n".join(["the export is not the model that was trained", *lines, f"full report: {report}"]))

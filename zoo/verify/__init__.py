"""Whether exported files still are the model that was trained; a file beyond its gate fails the run.

Each file is compared with the checkpoint in torch and float32, in the file's own runtime: its structure, its next-token
distributions on held-out steps of the recipe's world and on general text, the functions that it calls, and, if asked,
its success on held-out tasks. The report is `verify.json`, drawn in `verify.svg`.

Covered: GGUF in llama.cpp, ONNX in ONNX Runtime and GenAI, text. Not covered: images, which llama.cpp reads through a
second file.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import towers
from zoo.errors import GateError, ModelError
from zoo.records import Metric, Progress, StageContext, StageResult, no_progress
from zoo.schema import VerifySpec
from zoo.serving import open_torch
from zoo.verify.gates import gate_of
from zoo.verify.inspection import SPLIT, Material, held_out_steps, inspect, material
from zoo.verify.opening import exported
from zoo.verify.plot import PLOT_NAME, draw
from zoo.verify.report import REPORT_NAME, metrics, plain, row, write
from zoo.verify.texts import digest
from zoo.verify.verdict import failures

__all__ = [
    "PLOT_NAME",
    "REPORT_NAME",
    "draw",
    "examine",
    "held_out_steps",
    "inspect",
    "material",
    "plain",
    "run",
    "write",
]


def run(spec: VerifySpec, ctx: StageContext) -> StageResult:
    """Compare every file of the export (`zoo.verify.opening`) with the checkpoint and hold it to the gate of its type.

    The report goes to `ctx.out`, and to `ctx.scratch` before anything is raised. A file of an optional type that falls
    short is listed under `withheld` in the notes, all others must pass.

    Raises GateError with every failure of every file: file, measure, value, threshold, what to try.
    """
    export, against = ctx.inputs["export"], ctx.inputs["against"]
    files = exported(export)
    _check_names(files, spec)
    data, measured = examine(spec, files, against, ctx.seed, device=ctx.device, progress=ctx.progress)
    data["projectors"] = [_projector(file, against) for file in sorted(export.glob("mmproj*.gguf"))]
    data["towers"] = towers.changes(ctx.inputs["base"], against).as_data() if "base" in ctx.inputs else None
    data["passed"] = data["passed"] and all(one["passed"] for one in data["projectors"])
    for folder in (ctx.scratch, ctx.out):
        write(folder, data)
        draw(data["files"], folder / PLOT_NAME)
    _refuse(data, ctx.scratch / REPORT_NAME)
    return StageResult(measured, _notes(data))


def examine(
    spec: VerifySpec,
    files: Mapping[Path, str],
    against: Path,
    seed: int,
    *,
    device: str = "cpu",
    threads: int | None = None,
    progress: Progress = no_progress,
) -> tuple[dict[str, Any], dict[str, Metric]]:
    """Compare files (path -> the type whose gate it is held to) with the checkpoint folder `against`.

    Returns what `verify.json` says, and the numbers of a record. Nothing is raised for a file that falls short; it
    counts as passed when its type is optional.

    Raises ModelError when the checkpoint cannot be loaded, DataError when the world does not have so many tasks.
    """
    compared = material(spec.agent, spec.prompts, spec.texts, spec.actions, spec.tasks, seed)
    with open_torch(against, device) as reference:
        reports = inspect(reference, files, compared, progress, threads)
    rows = []
    measured: dict[str, Metric] = {}
    for report in reports:
        gate = gate_of(report.type, spec.gates, spec.tasks)
        rows.append(row(report, gate, failures(report, gate), report.type in spec.optional))
        measured |= metrics(report)
    data = {
        "passed": all(one["passed"] or one["optional"] for one in rows),
        "reference": {"runtime": "torch", "dtype": "float32"},
        "steps": _compared(spec, compared, seed),
        "files": rows,
    }
    return data, measured


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
    files = plain(data["files"])
    rows = [{name: value for name, value in one.items() if name != "curves"} for one in files]
    return {
        "files": rows,
        "passed": [one["file"] for one in rows if one["passed"]],
        "withheld": {one["file"]: one["failures"] for one in rows if not one["passed"]},
        "steps": data["steps"],
        "projectors": data["projectors"],
        "towers": data["towers"],
    }


def _projector(file: Path, checkpoint: Path) -> dict[str, Any]:
    """Whether a vision file was made of this checkpoint and not of the stock model."""
    try:
        return {"file": file.name, "passed": True, "detail": towers.check_projector(file, checkpoint)}
    except ModelError as error:
        return {"file": file.name, "passed": False, "detail": str(error)}


def _check_names(files: Mapping[Path, str], spec: VerifySpec) -> None:
    """Every gate and every optional type has a file: what was not measured must not look as if it had passed."""
    types = Counter(files.values())
    if not types:
        what = "the export holds no model-*.gguf and no ONNX graph, so there is nothing to verify"
        raise GateError(f"{what}; export one first")
    if unused := sorted(spec.gates.keys() - types.keys()):
        raise GateError(f"a gate for {', '.join(unused)}, but the export has no such file; export it or drop the gate")
    if unused := sorted(set(spec.optional) - types.keys()):
        raise GateError(f"optional names {', '.join(unused)}, but the export has no such file; export it or drop it")


def _refuse(data: Mapping[str, Any], report: Path) -> None:
    if data["passed"]:
        return
    lines = ["the export is not the model that was trained"]
    for one in data["files"]:
        if not one["passed"] and not one["optional"]:
            lines += [f"  {one['file']}:", *(f"  {line}" for line in one["failures"])]
    lines += [f"  {one['detail']}" for one in data["projectors"] if not one["passed"]]
    raise GateError("\n".join([*lines, f"full report: {report}"]))

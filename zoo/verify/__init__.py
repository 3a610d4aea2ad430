"""Whether exported files still are the model that was trained; a file beyond its gate fails the run.

Each file is compared with the checkpoint in torch and float32, in the file's own runtime: its structure, its next-token
distributions on held-out steps of the recipe's world, and the functions that it calls. The report is `verify.json`.

Covered: GGUF in llama.cpp, ONNX in ONNX Runtime and GenAI, text. Not covered: images (llama.cpp reads them through a
second file), success on whole tasks, general text.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random

from zoo.data.expert import expert_rows
from zoo.errors import ExportError, GateError
from zoo.formats import onnx_files
from zoo.records import Metric, Progress, StageContext, StageResult, no_progress
from zoo.schema import AgentSpec, DataSpec, Gate, VerifySpec
from zoo.serving import TorchRuntime, open_torch
from zoo.verify.comparison import Step, compare_actions, compare_logits
from zoo.verify.opening import GATES, Opened, exported, file_checks, label, open_file, size, structural_checks
from zoo.verify.report import REPORT_NAME, FileReport, failures, metrics, row, write
from zoo.verify.structure import Check

__all__ = ["REPORT_NAME", "held_out_steps", "inspect", "run"]


def run(spec: VerifySpec, ctx: StageContext) -> StageResult:
    """Compare every file of the export (`zoo.verify.opening`) with the checkpoint and hold it to the gate of its type.

    The report goes to `ctx.out`, and to `ctx.scratch` before anything is raised.

    Raises GateError with every failure of every file: file, measure, value, threshold, what to try.
    """
    files = exported(ctx.inputs["export"])
    gates = GATES | spec.gates
    _check_gates(list(files.values()), spec.gates)
    steps = held_out_steps(spec.agent, spec.prompts, ctx.seed)
    with open_torch(ctx.inputs["against"], ctx.device) as reference:
        reports = inspect(reference, list(files), steps, spec.actions, spec.agent.answer_tokens, ctx.progress)
    wrong = {report.file: failures(report, gates[report.type]) for report in reports}
    data = {
        "passed": not any(wrong.values()),
        "reference": {"runtime": "torch", "dtype": "float32"},
        "steps": {"compared": len(steps), "answered": spec.actions, "split": _SPLIT, "seed": ctx.seed},
        "files": [row(report, wrong[report.file]) for report in reports],
    }
    for folder in (ctx.scratch, ctx.out):
        write(folder, data)
    _refuse(wrong, ctx.scratch / REPORT_NAME)
    measured: dict[str, Metric] = {}
    for report in reports:
        measured |= metrics(report)
    return StageResult(measured, {"files": data["files"], "steps": data["steps"]})


_SPLIT = "held-out-parameters"


def held_out_steps(agent: AgentSpec, count: int, seed: int) -> list[Step]:
    """Steps of the world's expert on tasks that nobody trained on, drawn with the seed."""
    data = DataSpec(kind="data", split=_SPLIT, tasks=count, agent=agent)
    rows, _ = expert_rows(data, seed, no_progress)
    chosen = Random(seed).sample(rows, min(count, len(rows)))
    return [Step(row.prompt, row.completion) for row in chosen]


def inspect(
    reference: TorchRuntime,
    files: Sequence[Path],
    steps: Sequence[Step],
    actions: int,
    answer_tokens: int,
    progress: Progress = no_progress,
) -> list[FileReport]:
    """Look at every file: its structure first, then, if it loads and has the same vocabulary, what it computes.

    The first `actions` steps are also answered, with `answer_tokens` at most.
    """
    longest = max(len(reference.encode([*step.prompt, *step.completion])) for step in steps)
    with ExitStack() as stack:
        opened = {file: _open(stack, file, longest + answer_tokens) for file in files}
        checked = {file: _checked(reference, file, one, steps) for file, one in opened.items()}
        sound = {
            label(file): one
            for file, one in opened.items()
            if not isinstance(one, str) and one.vocabulary_size == _vocabulary_size(reference)
        }
        agreements = compare_logits(reference, sound, steps, progress)
        prompts = [step.prompt for step in steps[:actions]]
        called = compare_actions(reference, sound, prompts, answer_tokens, progress)
    return [
        FileReport(
            label(file), _type(file), size(file), checked[file], agreements.get(label(file)), called.get(label(file))
        )
        for file in files
    ]


def _vocabulary_size(reference: TorchRuntime) -> int:
    return int(reference.model.config.get_text_config().vocab_size)


def _open(stack: ExitStack, file: Path, context: int) -> Opened | str:
    """The file in its own runtime, or why it does not load: one broken file does not hide the others."""
    try:
        opened = open_file(file, context)
        stack.callback(opened.close)
        return opened
    except ExportError as error:
        return str(error)


def _checked(reference: TorchRuntime, file: Path, opened: Opened | str, steps: Sequence[Step]) -> tuple[Check, ...]:
    if isinstance(opened, str):
        return (Check("loads", False, opened), *file_checks(file))
    return (Check("loads", True), *structural_checks(reference, opened, [step.prompt for step in steps]))


def _type(file: Path) -> str:
    """`model-Q8_0.gguf` -> `q8_0`, `onnx/model.onnx` -> `fp32`."""
    return next(
        (variant for variant, name in onnx_files.FILES.items() if name == label(file)),
        file.stem.removeprefix("model-").lower(),
    )


def _check_gates(types: Sequence[str], gates: Mapping[str, Gate]) -> None:
    """Every file has a gate and every gate a file: what was not measured must not look as if it had passed."""
    if not types:
        raise GateError("the export holds no model-*.gguf and no ONNX graph, so there is nothing to verify")
    if without := sorted(set(types) - gates.keys() - GATES.keys()):
        raise GateError(f"no gate for {', '.join(without)}; write gates.{without[0]} in the verify stage")
    if unused := sorted(gates.keys() - set(types)):
        raise GateError(f"a gate for {', '.join(unused)}, but the export has no such file; export it or drop the gate")


def _refuse(wrong: Mapping[str, Sequence[str]], report: Path) -> None:
    if lines := [f"  {line}" for file, found in wrong.items() for line in ((file + ":", *found) if found else ())]:
        raise GateError("\n".join(["the export is not the model that was trained", *lines, f"full report: {report}"]))

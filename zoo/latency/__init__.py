"""What each exported file costs to run: load, first token, prefill, decode, an agent's step, peak memory.

Each file is measured in its own runtime and in a process of its own (`zoo.latency.measuring`), one after the other; one
that is measured is not measured again when the stage is killed and run again. The figures are this machine's, and the
record says which it is. Medians are the metrics; tenth and ninetieth percentiles stand in the notes.

Not covered: images, and several requests at once.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from zoo import machine
from zoo.data.expert import expert_rows
from zoo.errors import DataError, ExportError
from zoo.formats.exported import exported, label, size
from zoo.latency.job import Job
from zoo.prompt import Chat
from zoo.records import Metric, Progress, StageContext, StageResult, no_progress
from zoo.schema import AgentSpec, DataSpec, LatencySpec

__all__ = ["TORCH", "agent_chats", "run"]

TORCH = "torch"
"""What the checkpoint is called beside the types of its files."""
_SPLIT = "held-out-parameters"
_STEPS_A_TASK = 3
"""At least so many steps has a task of any world."""


def run(spec: LatencySpec, ctx: StageContext) -> StageResult:
    """Measure the files of `ctx.inputs["export"]`, and the checkpoint `ctx.inputs["model"]` where one is named.

    Raises ExportError when there is nothing to measure, a type is missing, or a file does not load.
    """
    sources = _sources(spec, ctx.inputs)
    chats = agent_chats(spec, ctx.seed)
    metrics: dict[str, Metric] = {}
    rows = []
    for place, (type_, source) in enumerate(sources.items()):
        figures = _measured(spec, type_, source, chats, ctx, place, len(sources))
        row = {"type": type_, "file": label(source), "bytes": _size(source), **_row(spec, figures)}
        rows.append(row)
        metrics |= _metrics(type_, row)
    notes = {
        "rows": rows,
        "machine": machine.hardware(),
        "versions": machine.versions(),
        "prompt_tokens": spec.prompt_tokens,
        "answer_tokens": spec.answer_tokens,
        "switches": {"reuse": spec.reuse, "lookup": spec.lookup},
    }
    return StageResult(metrics, notes)


def agent_chats(spec: LatencySpec, seed: int) -> list[Chat]:
    """Consecutive steps on held-out tasks, as the expert walks through them: every file is asked the same.

    An agent with eyes is timed on the words of its screens.

    Raises DataError when the world has not so many.
    """
    if not spec.steps:
        return []
    tasks = -(-spec.steps // _STEPS_A_TASK)
    data = DataSpec(kind="data", split=_SPLIT, tasks=tasks, agent=_reader(spec.agent))
    try:
        rows, _ = expert_rows(data, seed, no_progress)
    except ValueError as error:
        raise DataError(f"latency: `steps: {spec.steps}` is too many: {error}") from error
    return [row.prompt for row in rows[: spec.steps]]


def _reader(agent: AgentSpec) -> AgentSpec:
    """The agent as it reads words: files are compared on what all of them can do."""
    return agent.model_copy(update={"pictures": "none"})


def _sources(spec: LatencySpec, inputs: Mapping[str, Path]) -> dict[str, Path]:
    """Type -> what is opened."""
    by_type = {type_: file for file, type_ in exported(inputs["export"]).items()}
    if not by_type:
        raise ExportError(f"{inputs['export'].name}: no model-*.gguf and no ONNX graph to measure; export one first")
    if missing := sorted(set(spec.types or ()) - by_type.keys()):
        raise ExportError(f"types names {', '.join(missing)}, but the export has {', '.join(by_type)}")
    chosen = {_name(by_type[type_], type_): by_type[type_] for type_ in spec.types or by_type}
    return chosen | ({TORCH: inputs["model"]} if spec.model is not None else {})


def _name(file: Path, type_: str) -> str:
    """What metrics call a file: `q8_0`, `onnx-int8`, `genai-int4`."""
    return type_ if file.suffix == ".gguf" or type_.startswith("genai-") else f"onnx-{type_}"


def _measured(
    spec: LatencySpec,
    type_: str,
    source: Path,
    chats: Sequence[Chat],
    ctx: StageContext,
    place: int,
    count: int,
) -> dict[str, Any]:
    """The figures of one model, from an earlier try where there are any."""

    def progress(step: int, total: int | None = None, **fields: float | str) -> None:
        shown = place + (step / total if total else 0)
        ctx.progress(round(100 * shown / count), 100, measuring=type_, **fields)

    threads = spec.threads
    if threads is None:
        job = _job(spec, source, ctx.scratch / f"{type_}.threads.json", "threads", None, ())
        threads = int(_in_a_process(job, progress)["threads"])
    return _in_a_process(_job(spec, source, ctx.scratch / f"{type_}.json", "figures", threads, chats), progress)


def _job(spec: LatencySpec, source: Path, target: Path, part: Any, threads: int | None, chats: Sequence[Chat]) -> Job:
    agent = _reader(spec.agent).model_dump(mode="json")
    lengths = (spec.repeats, spec.warm_up, spec.prompt_tokens, spec.answer_tokens)
    return Job(str(source), str(target), part, threads, *lengths, chats, agent, spec.reuse, spec.lookup)


def _in_a_process(job: Job, progress: Progress) -> dict[str, Any]:
    """What the process of a job found; that of an earlier try, whole or not there, is taken."""
    target = Path(job.target)
    if not target.is_file():
        order = target.with_suffix(".job")
        order.write_text(json.dumps(asdict(job)), "utf-8")
        command = [sys.executable, "-m", "zoo.latency.measuring", str(order)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                for told in _objects(process.stdout or ()):
                    progress(told["step"], told["total"])
            except BaseException:
                process.kill()
                raise
    try:
        found: dict[str, Any] = json.loads(target.read_text("utf-8"))
    except FileNotFoundError:
        name = Path(job.source).name
        raise ExportError(f"{name}: measuring it ended with status {process.returncode}; see the stage's log") from None
    if "error" in found:
        target.unlink()
        raise ExportError(str(found["error"]))
    return found


def _objects(lines: Any) -> Iterator[dict[str, Any]]:
    """What a process tells; a library that prints something else is not listened to."""
    for line in lines:
        if line.startswith('{"step"'):
            yield json.loads(line)


def _size(source: Path) -> int:
    if source.is_file():
        return size(source)
    return sum(file.stat().st_size for file in source.glob("*.safetensors"))


def _row(spec: LatencySpec, figures: Mapping[str, Any]) -> dict[str, Any]:
    """A flat row: of every list the median, and the tenth and ninetieth percentiles."""
    taken = figures["steps"]
    series = {
        "first_token_seconds": figures["first_token_seconds"],
        "prefill_tokens_per_second": [spec.prompt_tokens / value for value in figures["first_token_seconds"]],
        "decode_tokens_per_second": [(spec.answer_tokens - 1) / value for value in figures["decode_seconds"]],
        "step_seconds": [step["seconds"] for step in taken],
    }
    spread = {name: value for key, values in series.items() if values for name, value in _spread(key, values).items()}
    names = ("prompt_tokens", "computed_tokens", "tokens", "calls") if taken else ()
    steps = {f"step_{name}": median(step[name] for step in taken) for name in names}
    single = ("runtime", "version", "number_type", "threads", "context", "load_seconds")
    counts = {"repeats": len(figures["first_token_seconds"]), "steps": len(taken)}
    memory = {"peak_memory_bytes": figures["memory"]["peak_bytes"]}
    return {**{name: figures[name] for name in single}, **memory, **spread, **steps, **counts}


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    if len(values) == 1:
        return {name: values[0]}
    tenths = quantiles(values, n=10, method="inclusive")
    return {name: median(values), f"{name}_p10": tenths[0], f"{name}_p90": tenths[-1]}


_UNITS = {
    "load_seconds": "s",
    "first_token_seconds": "s",
    "prefill_tokens_per_second": "tokens/s",
    "decode_tokens_per_second": "tokens/s",
    "step_seconds": "s",
    "peak_memory_bytes": "bytes",
    "threads": "",
}


def _metrics(type_: str, row: Mapping[str, Any]) -> dict[str, Metric]:
    counts = {"step_seconds": row["steps"], "load_seconds": 1, "peak_memory_bytes": 1, "threads": None}
    return {
        f"{type_}.{name}": Metric(float(row[name]), unit, n=counts.get(name, row["repeats"]))
        for name, unit in _UNITS.items()
        if name in row
    }

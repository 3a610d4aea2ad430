"""What a teacher's logits add to its students, at equal rows: imitation alone, with logits, and logits alone.

    python benchmarks/distillation.py --teacher DIR --student DIR [--out DIR] [--rows 32] [--seeds 3]

The teacher is a checkpoint trained on the phone, the student its untrained base. The students learn from steps of the
phone's expert, three times over, by the stages themselves (`distill`, `logits`), on a CPU; the teacher may have seen
some of their screens before, its own training had the same kinds of tasks. Measured on held-out steps: the mean loss of
the expert's answers and the share of their tokens that are the most likely one (read along, not generated), and the
share of steps answered, greedily, by the expert's very call. A value of a seed is kept in `--out` as soon as it is
measured, so that a stopped run goes on. Prints a table and one JSON line; intervals are 95 %, over seeds for means
(Student's t), over answers of all seeds for rates (Wilson).
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kept import once

from zoo import data as data_stage
from zoo.actions import read_answer, write
from zoo.metrics import rate
from zoo.records import StageContext
from zoo.schema import AgentSpec, DataSpec, DistillSpec, LogitsSpec

AGENT = AgentSpec(world="phone", style="terse", observation="terse", memory_steps=3, rounds=15, answer_tokens=96)
LORA = {"r": 32, "lora_alpha": 32, "target_modules": "all-linear"}
TRAINING = {
    "num_train_epochs": 3,
    "per_device_train_batch_size": 4,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 2,
}
TRAIN_SEED, HELD_OUT_SEED = 91, 92
TOP_K = 32
ARMS: dict[str, dict[str, Any]] = {
    "imitation": {"weights": {"behaviour": 1.0, "chain_of_thought": 1.0, "logits": 0.0}},
    "imitation + logits": {"weights": {"behaviour": 0.5, "chain_of_thought": 0.5, "logits": 0.5}},
    "imitation + stored logits": {"weights": {"behaviour": 0.5, "chain_of_thought": 0.5, "logits": 0.5}},
    "logits, no reasoning imitated": {"weights": {"behaviour": 0.5, "chain_of_thought": 0.0, "logits": 0.5}},
    "logits alone": {"weights": {"behaviour": 0.0, "chain_of_thought": 0.0, "logits": 1.0}},
}
MAIN_ARMS = ["imitation", "imitation + logits", "logits alone"]
T_975 = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def main() -> None:
    """Measure what is not measured yet, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("distillation-runs"))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=MAIN_ARMS)
    parser.add_argument("--rows", type=int, nargs="+", default=[32])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=48, help="held-out steps that are read along")
    parser.add_argument("--calls", type=int, default=24, help="of these, steps that are answered")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    _measure(arguments)
    _report(arguments)


def _measure(arguments: argparse.Namespace) -> None:
    held_out = _rows(arguments.out / "held-out", "held-out-parameters", arguments.steps, HELD_OUT_SEED)
    for name, model in (("teacher", arguments.teacher), ("student", arguments.student)):
        once(arguments.out / f"{name}.json", lambda model=model: _score(model, held_out, arguments))
    for count in arguments.rows:
        rows = _rows(arguments.out / f"rows-{count}", "train", count, TRAIN_SEED)
        for seed in range(arguments.seeds):
            for arm in arguments.arms:
                file = _file(arguments, arm, count, seed)
                once(file, lambda arm=arm, rows=rows, seed=seed: _run(arguments, arm, rows, held_out, seed))


def _file(arguments: argparse.Namespace, arm: str, count: int, seed: int) -> Path:
    file: Path = arguments.out / f"{arm.replace(' ', '-').replace(',', '')}-{count}-{seed}.json"
    return file


def _rows(folder: Path, split: str, count: int, seed: int) -> Path:
    """Steps of the expert, drawn over many tasks."""
    if not (folder / "rows.jsonl").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        spec = DataSpec.model_validate(
            {"source": "expert", "split": split, "tasks": count, "limit": count, "agent": AGENT}
        )
        data_stage.run(spec, StageContext(folder, folder, {}, seed=seed))
    return folder


def _run(arguments: argparse.Namespace, arm: str, rows: Path, held_out: Path, seed: int) -> dict[str, Any]:
    from zoo.trainers import distill

    with tempfile.TemporaryDirectory() as name:
        inputs = {"model": arguments.student, "data": rows}
        settings: dict[str, Any] = {"model": "a/student", "data": "stage:rows", "attention": "eager", "lora": LORA}
        if arm.endswith("stored logits"):
            inputs["logits"] = _stored(arguments, rows)
            settings["logits"] = "stage:logits"
        elif ARMS[arm]["weights"]["logits"]:
            inputs["teacher"] = arguments.teacher
            settings["teacher"] = "a/teacher"
        spec = DistillSpec.model_validate({**settings, **ARMS[arm], "checkpoint_steps": 10**6, "trl": TRAINING})
        out = Path(name) / "out"
        out.mkdir()
        result = distill.run(spec, StageContext(out, Path(name) / "scratch", inputs, seed=seed))
        measured = {name: metric.value for name, metric in result.metrics.items()}
        return {**_score(out, held_out, arguments), "training": measured}


def _stored(arguments: argparse.Namespace, rows: Path) -> Path:
    """The teacher's logits of these rows, scored once for all seeds."""
    from zoo.trainers import distill

    out: Path = arguments.out / f"logits-of-{rows.name}"
    if not (out / "logits.json").is_file():
        out.mkdir(exist_ok=True)
        spec = LogitsSpec.model_validate({"model": "a/teacher", "data": "stage:rows", "top_k": TOP_K})
        inputs = {"model": arguments.teacher, "data": rows}
        result = distill.capture(spec, StageContext(out, out / "scratch", inputs, seed=0))
        (out / "metrics.json").write_text(
            json.dumps({name: metric.value for name, metric in result.metrics.items()}), "utf-8"
        )
    return out


def _score(model: Path, held_out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Loss and most likely tokens over the answers of held-out steps, and calls that are the expert's."""
    import numpy as np

    from zoo.serving import open_torch
    from zoo.trainers.distill.rows import IGNORED, tokenize

    rows = [json.loads(line) for line in (held_out / "rows.jsonl").read_text("utf-8").splitlines()]
    losses: list[float] = []
    most_likely = same = 0
    with open_torch(model, dtype="bfloat16") as runtime:
        for row in tokenize(rows, runtime.tokenizer):
            first = row.prompt_tokens - 1
            logits = runtime.logits(row.input_ids, first)[:-1].astype(np.float64)
            targets = [(at, label) for at, label in enumerate(row.labels[first + 1 :]) if label != IGNORED]
            for at, label in targets:
                losses.append(float(np.logaddexp.reduce(logits[at]) - logits[at, label]))
                most_likely += int(logits[at].argmax() == label)
        for first in range(0, arguments.calls, 8):
            asked = rows[first : min(first + 8, arguments.calls)]
            answers = runtime.generate([row["prompt"] for row in asked], AGENT.answer_tokens)
            for row, answer in zip(asked, answers, strict=True):
                action = read_answer(answer.text).action
                same += int(action is not None and write(action) == row["solution"])
    return {
        "loss": statistics.mean(losses),
        "tokens": len(losses),
        "most_likely": most_likely,
        "same_call": same,
        "calls": arguments.calls,
    }


def _report(arguments: argparse.Namespace) -> None:
    table: list[dict[str, Any]] = []
    for name in ("student", "teacher"):
        found = json.loads((arguments.out / f"{name}.json").read_text("utf-8"))
        table.append({"arm": f"the {name}", "rows": 0, **_pooled([found])})
    for count in arguments.rows:
        for arm in arguments.arms:
            files = [_file(arguments, arm, count, seed) for seed in range(arguments.seeds)]
            runs = [json.loads(file.read_text("utf-8")) for file in files]
            table.append({"arm": arm, "rows": count, **_pooled(runs)})
    print(f"{'arm':<30} {'rows':>4}  {'held-out loss':<22} {'most likely token':<20} {'same call':<20} tokens/s")
    for row in table:
        print(
            f"{row['arm']:<30} {row['rows']:>4}  {_span(row['loss'], 3):<22} {_span(row['most_likely'], 1):<20} "
            f"{_span(row['same_call'], 0):<20} {row['tokens_per_second'] or ''}"
        )
    stores = {
        str(count): json.loads(file.read_text("utf-8"))
        for count in arguments.rows
        if (file := arguments.out / f"logits-of-rows-{count}" / "metrics.json").is_file()
    }
    for count, store in stores.items():
        print(
            f"stored logits of {count} rows: {store['tokens']:.0f} answer tokens, {store['bytes']:.0f} bytes, "
            f"{100 * store['kept_mass']:.2f} % of the mass in {TOP_K} tokens"
        )
    threads = os.environ.get("OMP_NUM_THREADS", "default")
    print(json.dumps({"benchmark": "distillation", "threads": threads, "table": table, "stores": stores}))


def _pooled(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    calls = rate(sum(run["same_call"] for run in runs), sum(run["calls"] for run in runs))
    speeds = [run["training"]["tokens_per_second"] for run in runs if "training" in run]
    return {
        "seeds": len(runs),
        "loss": _mean([run["loss"] for run in runs]),
        "most_likely": _mean([100 * run["most_likely"] / run["tokens"] for run in runs]),
        "same_call": tuple(100 * value for value in (calls.value, calls.low or 0.0, calls.high or 0.0)),
        "tokens_per_second": round(statistics.median(speeds)) if speeds else None,
    }


def _mean(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """The mean and its interval over seeds; none for a single value."""
    middle = statistics.mean(values)
    if len(values) < 2:
        return middle, None, None
    half = T_975[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
    return middle, middle - half, middle + half


def _span(value: Sequence[float | None], digits: int) -> str:
    middle, low, high = value
    return f"{middle:.{digits}f}" + (f" ({low:.{digits}f} to {high:.{digits}f})" if low is not None else "")


if __name__ == "__main__":
    main()

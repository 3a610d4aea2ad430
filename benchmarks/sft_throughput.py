"""Tokens a second of the sft stage against `trl sft`, on the same checkpoint, rows and adapter, one process each.

    python benchmarks/sft_throughput.py [--model DIR] [--data DIR] [--steps 20] [--batch 4] [--repeats 3]

Three ways, taken in turn so that a busy machine slows all alike: the stage; `trl sft` as it comes on a CPU (its own
defaults: activation checkpointing, autocast to bfloat16); `trl sft` told what the stage tells it. Tokens a second leave
out loading and writing; `seconds` is the whole process. One JSON line with the medians.
"""

import argparse
import ast
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo import tiny

LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}
LEARNING_RATE = 1e-3

STAGE = """
import json, sys
from pathlib import Path
from zoo.records import StageContext
from zoo.schema import SFTSpec
from zoo.trainers import sft
job = json.loads(sys.argv[1])
out, scratch = Path(job["folder"]) / "out", Path(job["folder"]) / "scratch"
out.mkdir()
inputs = {"model": Path(job["model"]), "data": Path(job["data"])}
result = sft.run(SFTSpec.model_validate(job["spec"]), StageContext(out, scratch, inputs, seed=0))
print("TOKENS", result.metrics["tokens"].value, result.metrics["tokens_per_second"].value)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a checkpoint folder; by default the tiny Llama")
    parser.add_argument("--data", type=Path, help="a folder with rows.jsonl; by default rows of about 200 tokens")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(_measure(arguments, Path(name))))


def _measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    model = arguments.model or folder / "model"
    if not arguments.model:
        tiny.make("llama", model, seed=0)
    data = arguments.data or folder / "rows"
    if not arguments.data:
        _write_rows(data, arguments.steps * arguments.batch)
    _as_trl_reads(data / "rows.jsonl", folder / "trl-rows")
    ways = {
        "stage": lambda at: _stage(arguments, model, data, at),
        "trl_as_it_comes": lambda at: _trl(arguments, model, folder / "trl-rows", at, []),
        "trl_told_the_same": lambda at: _trl(arguments, model, folder / "trl-rows", at, _same(arguments)),
    }
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for repeat in range(arguments.repeats):
        for name, run in ways.items():
            at = folder / f"{name}-{repeat}"
            at.mkdir()
            runs[name].append(run(at))
    return _summary(arguments, runs)


def _summary(arguments: argparse.Namespace, runs: dict[str, list[tuple[float, float, float]]]) -> dict[str, Any]:
    medians = {name: statistics.median(speed for _, speed, _ in times) for name, times in runs.items()}
    tokens = sorted(count for times in runs.values() for count, _, _ in times)
    if tokens[-1] > 1.001 * tokens[0]:
        raise SystemExit(f"the ways did not train on the same tokens: {tokens}")
    return {
        "benchmark": "sft_throughput",
        "model": arguments.model.name if arguments.model else "tiny llama",
        "tokens": round(tokens[0]),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "repeats": arguments.repeats,
        "tokens_per_second": {name: round(speed, 1) for name, speed in medians.items()},
        "seconds": {name: round(statistics.median(s for _, _, s in times), 1) for name, times in runs.items()},
        "ratio_to_trl_as_it_comes": round(medians["stage"] / medians["trl_as_it_comes"], 2),
        "ratio_to_trl_told_the_same": round(medians["stage"] / medians["trl_told_the_same"], 2),
    }


def _stage(arguments: argparse.Namespace, model: Path, data: Path, folder: Path) -> tuple[float, float, float]:
    trl = {
        "max_steps": arguments.steps,
        "per_device_train_batch_size": arguments.batch,
        "learning_rate": LEARNING_RATE,
    }
    spec = {"model": "a/b", "data": "stage:rows", "lora": LORA, "dtype": arguments.dtype, "trl": trl}
    job = {"folder": str(folder), "model": str(model), "data": str(data), "spec": {**spec, "checkpoint_steps": 10**6}}
    text, seconds = _run([sys.executable, "-c", STAGE, json.dumps(job)])
    _, tokens, speed = re.findall(r"^(TOKENS) (\d+) ([\d.]+)$", text, re.MULTILINE)[-1]
    return float(tokens), float(speed), seconds


def _trl(
    arguments: argparse.Namespace, model: Path, rows: Path, folder: Path, more: Sequence[str]
) -> tuple[float, float, float]:
    command = [
        sys.executable, "-m", "trl.scripts.sft", "--model_name_or_path", str(model), "--dataset_name", str(rows),
        "--output_dir", str(folder), "--max_steps", str(arguments.steps), "--learning_rate", str(LEARNING_RATE),
        "--per_device_train_batch_size", str(arguments.batch), "--use_cpu", "--seed", "0",
        "--use_peft", "--lora_r", str(LORA["r"]), "--lora_alpha", str(LORA["lora_alpha"]),
        "--lora_dropout", "0.0", "--lora_target_modules", "all-linear", "--save_strategy", "no",
        "--logging_steps", "1", "--include_num_input_tokens_seen", "true", "--disable_tqdm", "true", *more,
    ]  # fmt: skip
    text, seconds = _run(command)
    steps = [ast.literal_eval(line) for line in text.splitlines() if line.startswith("{'loss'")]
    # TRL's own count, without padding; it prints four digits.
    tokens = float(steps[-1]["num_tokens"])
    return tokens, tokens / float(steps[-1]["train_runtime"]), seconds


def _same(arguments: argparse.Namespace) -> list[str]:
    """What the stage sets and TRL's defaults do not."""
    return ["--dtype", arguments.dtype, "--bf16", "false", "--activation_checkpointing", "false"]


def _run(command: Sequence[str]) -> tuple[str, float]:
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "TOKENIZERS_PARALLELISM": "false"
    }  # fmt: skip
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{command[:4]} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout, time.perf_counter() - started


def _write_rows(folder: Path, count: int) -> None:
    """Screens of thirty labels, as a phone's are."""
    folder.mkdir()
    rows = []
    for number in range(count):
        screen = "\n".join(f"{index} button Settings {index * number % 97}" for index in range(1, 31))
        answer = f"<REASONING>The label is there.</REASONING><CALLED_FUNCTION>tap({number % 30 + 1})</CALLED_FUNCTION>"
        prompt = [{"role": "user", "content": f"{screen}\nTap {number % 30 + 1}."}]
        rows.append({"prompt": prompt, "completion": [{"role": "assistant", "content": answer}]})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _as_trl_reads(rows: Path, folder: Path) -> None:
    """The two columns alone, in a folder that `load_dataset` takes for one split, `train`."""
    folder.mkdir()
    read = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    kept = [json.dumps({"prompt": row["prompt"], "completion": row["completion"]}) + "\n" for row in read]
    (folder / "train.jsonl").write_text("".join(kept), "utf-8")


if __name__ == "__main__":
    main()

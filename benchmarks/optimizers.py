"""Muon with AdamW against AdamW alone: fine-tuning a small model from scratch on the phone expert's rows.

    python benchmarks/optimizers.py --out runs/optimizers [--steps 60] [--seeds 3] [--tasks 40]

A Llama of four layers and 128 units begins with random weights; all of them are trained by the `sft` stage. Each way's
learning rate is chosen of six on the first seed, on rows of other tasks than those that are reported; then every
seed trains with it; Muon's rate is also that of AdamW for the embeddings and norms beside it. Reported is the loss on
answers of held-out tasks at the end, with a 95 % t-interval over the seeds. One table, then one JSON line, with what
each rate reached on the first seed and a run's seconds (median; of little worth on a busy machine). A rate at the end
of the six says that a better one may lie beyond. What is measured is kept in `--out`: a stopped run goes on.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from kept import once

from zoo import checkpoint, data, tiny
from zoo.records import StageContext
from zoo.schema import AgentSpec, DataSpec, SFTSpec
from zoo.trainers import loading, preflight, sft

WAYS: dict[str, dict[str, Any]] = {"adamw": {}, "muon": {"optimizer": "muon"}}
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""Student's t at 97.5 % for so many seeds."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3, choices=sorted(T95))
    parser.add_argument("--tasks", type=int, default=40)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        found = _measure(arguments, Path(name))
    for way, row in found.items():
        low, high = row["low"], row["high"]
        print(f"{way:<6} rate {row['rate']:<6g} held-out loss {row['loss']:.4f} nats (95 % {low:.4f} to {high:.4f})")
    print(json.dumps({"steps": arguments.steps, "seeds": arguments.seeds, **found}))


def _measure(arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    rows = {
        name: _rows(folder / name, split, tasks)
        for name, split, tasks in (
            ("train", "train", arguments.tasks),
            ("choose", "held-out-parameters", 12),
            ("report", "held-out-templates", 12),
        )
    }
    model = _model(folder / "model")
    found = {}
    for way in WAYS:

        def run(rate: float, seed: int, way: str = way) -> tuple[dict[str, float], float]:
            measure = partial(_trained, folder, model, rows, way, rate, seed, arguments.steps)
            return _kept(arguments, f"{way}-{rate:g}-{seed}", measure)

        tried = {rate: run(rate, 0)[0] for rate in RATES}
        rate = min(tried, key=lambda one: tried[one]["choose"])
        runs = [run(rate, seed) for seed in range(arguments.seeds)]
        losses = [losses["report"] for losses, _ in runs]
        half = T95[len(losses)] * statistics.stdev(losses) / math.sqrt(len(losses))
        mean = statistics.mean(losses)
        found[way] = {
            "rate": rate,
            "loss": mean,
            "low": mean - half,
            "high": mean + half,
            "losses": losses,
            "chosen_among": {str(one): losses_["choose"] for one, losses_ in tried.items()},
            "seconds": statistics.median(seconds for _, seconds in runs),
        }
    return found


def _kept(
    arguments: argparse.Namespace, name: str, measure: Callable[[], tuple[dict[str, float], float]]
) -> tuple[dict[str, float], float]:
    """What was measured once."""
    file: Path = arguments.out / f"{name}-of-{arguments.steps}-steps-{arguments.tasks}-tasks.json"
    losses, seconds = once(file, measure)
    return losses, seconds


def _trained(
    folder: Path, model: Path, rows: dict[str, Path], way: str, rate: float, seed: int, steps: int
) -> tuple[dict[str, float], float]:
    """The losses on both held-out sets, and the seconds of training."""
    place = Path(tempfile.mkdtemp(dir=folder))
    (place / "out").mkdir()
    trl = {"max_steps": steps, "learning_rate": rate, "lr_scheduler_type": "cosine", "warmup_steps": 8}
    spec = SFTSpec(
        model="a/b", data="stage:rows", dtype="float32", save_dtype="float32", attention="eager",
        checkpoint_steps=steps, global_batch=8, trl=trl, **WAYS[way],
    )  # fmt: skip
    started = time.perf_counter()
    sft.run(spec, StageContext(place / "out", place / "scratch", {"model": model, "data": rows["train"]}, seed=seed))
    seconds = time.perf_counter() - started
    return {name: _loss(place / "out", rows[name]) for name in ("choose", "report")}, seconds


def _loss(model: Path, rows: Path) -> float:
    """Mean nats a token of the answers, the token that ends them included."""
    import torch

    loaded, tokenizer = loading.load_model(model, "float32").eval(), preflight.load_processor(model)
    nats = tokens = 0.0
    for row in preflight.read_rows(rows, ("prompt", "completion")):
        asked = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=True)["input_ids"]
        ids = tokenizer.apply_chat_template([*row["prompt"], *row["completion"]], return_dict=True)["input_ids"]
        labels = torch.tensor([[-100] * len(asked) + ids[len(asked) :]])
        with torch.inference_mode():
            loss = loaded(input_ids=torch.tensor([ids]), labels=labels).loss
        nats, tokens = nats + float(loss) * (len(ids) - len(asked)), tokens + len(ids) - len(asked)
    return nats / tokens


def _rows(folder: Path, split: str, tasks: int) -> Path:
    folder.mkdir()
    agent = AgentSpec(style="terse", observation="terse", memory_steps=1)
    spec = DataSpec(source="expert", split=split, tasks=tasks, agent=agent)  # type: ignore[arg-type]
    data.run(spec, StageContext(folder, folder / "scratch", {}, seed=3))
    return folder


def _model(folder: Path) -> Path:
    """The tiny Llama's tokenizer and shape, twice as deep and twice as wide."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    tiny.make("llama", folder, seed=0)
    config = AutoConfig.from_pretrained(folder)
    config.update({"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "head_dim": 32})
    torch.manual_seed(0)
    checkpoint.save(AutoModelForCausalLM.from_config(config), AutoTokenizer.from_pretrained(folder), folder, "float32")
    return folder


if __name__ == "__main__":
    main()

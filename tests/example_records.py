"""The records of a small, whole run, as a runner would have written them, for the tests of cards and publications."""

from dataclasses import replace
from typing import Any

from zoo.cards import CardData, Exports, RecipeFacts
from zoo.metrics import rate
from zoo.records import Metric, StageRecord

COMMIT = "12fd25f77366fa6b3b4b768ec3050bf629380bac"
BASE = f"HuggingFaceTB/SmolLM2-135M-Instruct@{COMMIT}"
AGENT = {"world": "phone", "style": "terse", "memory_steps": 4, "rounds": 12, "answer_tokens": 96}
RECIPE = """\
# A phone agent of 135 million parameters.
name: pocket-135m
summary: A phone agent.
"""


def record(name: str, kind: str, inputs: dict[str, str], metrics: dict[str, Metric], **more: Any) -> StageRecord:
    """A record with everything that a test does not care about filled in."""
    given: dict[str, Any] = {
        "version": 1,
        "key": f"key-of-{name}",
        "settings": {"kind": kind},
        "seed": 7,
        "notes": {},
        "files": {},
        "versions": {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0"},
        "hardware": {"cpu": "AMD EPYC 9R14", "cores": 2, "memory_bytes": 24 * 2**30, "device": "cpu"},
        "started": "2026-11-20T06:32:01+00:00",
        "seconds": 84.2,
        "peak_memory_bytes": 1_900_000_000,
    }
    return StageRecord(name=name, kind=kind, inputs=inputs, metrics=metrics, **(given | more))


def evaluation(name: str, model: str, successes: int, n: int = 100) -> StageRecord:
    """An evaluation of a model on `n` tasks."""
    metrics = {
        "success_rate": rate(successes, n),
        "sub_goal_rate": rate(min(n, successes + 10), n),
        "valid_action_rate": rate(97, 100),
        "steps": Metric(4.31),
        "seconds_per_step": Metric(0.482, "s"),
    }
    settings = {
        "kind": "evaluate",
        "model": None,
        "split": "held-out-parameters",
        "tasks": n,
        "batch": 16,
        "agent": AGENT,
    }
    return record(name, "evaluate", {"model": model}, metrics, settings=settings)


def verified(type_: str, passed: bool = True) -> dict[str, object]:
    """What a verification notes of a file, as far as cards read it."""
    return {"file": f"model-{type_.upper()}.gguf", "type": type_, "passed": passed}


def run() -> dict[str, StageRecord]:
    """Data, SFT, merge, GRPO, an export and its verification, and an evaluation of base, SFT, merge and GRPO."""
    demonstrations = {
        "kind": "data",
        "source": "expert",
        "dataset": None,
        "split": "train",
        "tasks": 400,
        "detours": 0.25,
        "limit": None,
        "agent": AGENT,
    }
    gates = {
        "f16": {"mean_kl": 1e-5, "top1": 0.998, "same_action": 0.9},
        "q8_0": {"mean_kl": 0.01, "top1": 0.95, "same_action": 0.9},
    }
    agreement = {
        "f16.top1": Metric(0.9991, n=3_211),
        "f16.mean_kl": Metric(2.4e-6, "nats"),
        "f16.same_action": rate(16, 16),
        "q8_0.top1": Metric(0.9712, n=3_211),
        "q8_0.mean_kl": Metric(0.0043, "nats"),
        "q8_0.same_action": rate(15, 16),
    }
    files = {
        "model-F16.gguf": {"sha256": "ab" * 32, "bytes": 270_888_832},
        "model-Q8_0.gguf": {"sha256": "cd" * 32, "bytes": 144_811_072},
    }
    bits = {"f16.bits_per_weight": Metric(16.0), "q8_0.bits_per_weight": Metric(8.5)}
    stages = [
        record("demos", "data", {}, {"rows": Metric(1840, "rows")}, settings=demonstrations, seconds=3.2),
        evaluation("base-score", BASE, 0),
        record(
            "sft",
            "sft",
            {"model": BASE, "data": "stage:key-of-demos"},
            {"steps": Metric(115, "steps"), "tokens": Metric(812_345, "tokens"), "train_loss": Metric(0.2134, "nats")},
        ),
        evaluation("sft-score", "stage:key-of-sft", 61),
        record(
            "merged",
            "merge",
            {"mergekit.models.0.model": "stage:key-of-sft", "mergekit.base_model": BASE},
            {"merge_seconds": Metric(1.9, "s"), "distance_from_base": Metric(0.9, "of the way")},
        ),
        evaluation("merged-score", "stage:key-of-merged", 58),
        record(
            "grpo",
            "grpo",
            {"model": "stage:key-of-merged", "data": "stage:key-of-demos"},
            {
                "steps": Metric(10, "steps"),
                "reward_start": Metric(1.41),
                "reward_end": Metric(1.62),
                "reward_format_start": Metric(0.88),
                "reward_format_end": Metric(0.97),
            },
            seconds=402.0,
        ),
        evaluation("grpo-score", "stage:key-of-grpo", 34),
        record("gguf", "gguf", {"model": "stage:key-of-grpo"}, bits, files=files),
        record(
            "verify",
            "verify",
            {"export": "stage:key-of-gguf", "against": "stage:key-of-grpo"},
            agreement,
            settings={"kind": "verify", "gates": gates, "prompts": 32, "actions": 16},
            notes={"files": [verified("f16"), verified("q8_0")], "withheld": {}},
        ),
    ]
    return {stage.name: stage for stage in stages}


def gguf(records: dict[str, StageRecord]) -> Exports | None:
    """The GGUF files of a run that exported some."""
    if "gguf" not in records:
        return None
    names = {"model-F16.gguf": "Pocket-135M-F16.gguf", "model-Q8_0.gguf": "Pocket-135M-Q8_0.gguf"}
    return Exports("GGUF", "zoo/pocket-135m-GGUF", records["gguf"], names, records.get("verify"))


def data(lineage: dict[str, StageRecord] | None = None) -> CardData:
    """What a publication of that run hands to the cards."""
    records = run() if lineage is None else lineage
    labels = {"base": "base-score", "after SFT": "sft-score", "merged": "merged-score", "after GRPO": "grpo-score"}
    recipe = RecipeFacts("pocket-135m", 1, "A phone agent for two CPU cores.", "Apache-2.0", 7, RECIPE)
    return CardData(
        repo="zoo/pocket-135m",
        recipe=recipe,
        model="stage:key-of-grpo",
        lineage=records,
        scores={label: records[name] for label, name in labels.items() if name in records},
        gguf=gguf(records),
    )


def without_metric(records: dict[str, StageRecord], stage: str, metric: str) -> dict[str, StageRecord]:
    """The same records, one of which measured one thing less."""
    left = {name: value for name, value in records[stage].metrics.items() if name != metric}
    return {**records, stage: replace(records[stage], metrics=left)}

"""The YAML at the head of a card, in the fields that the Hub draws lineage, filters and leaderboards from."""

import re
from collections.abc import Mapping
from typing import Any

from zoo.cards.lineage import ancestors, datasets, models
from zoo.records import StageRecord

__all__ = ["gguf_metadata", "license_fields", "model_metadata"]

_UNLISTED = re.compile(r"^licenseref-", re.IGNORECASE)


def license_fields(identifier: str) -> dict[str, str]:
    """An SPDX identifier in the Hub's spelling: lower case, and `other` with a name for what SPDX does not list.

    >>> license_fields("Apache-2.0")
    {'license': 'apache-2.0'}
    >>> license_fields("LicenseRef-qwen-research")
    {'license': 'other', 'license_name': 'qwen-research'}
    """
    if _UNLISTED.match(identifier):
        return {"license": "other", "license_name": _UNLISTED.sub("", identifier).lower()}
    return {"license": identifier.lower()}


def model_metadata(
    *,
    name: str,
    license: str,
    pipeline_tag: str,
    model: str,
    lineage: Mapping[str, StageRecord],
    scores: Mapping[str, StageRecord],
) -> str:
    """The metadata of the checkpoint's repository, between its two lines of dashes.

    Only evaluations of this very model enter `model-index`: a rate of an earlier stage would be another model's.
    """
    results = [record for record in scores.values() if record.inputs.get("model") == model]
    made_of = ancestors(lineage, model)
    base = list(models(lineage, model))
    fields: dict[str, Any] = {
        **license_fields(license),
        "library_name": "transformers",
        "pipeline_tag": pipeline_tag,
        "base_model": base or None,
        "datasets": list(datasets(lineage, model)) or None,
        "tags": ["edgezoo", "agent", "phone", *sorted({record.kind for record in made_of.values()} & _METHODS)],
        "model_name": name,
        "eval_results": _results(results, pipeline_tag) or None,
    }
    if base:
        fields["base_model_relation"] = "merge" if _has(made_of, "merge") else "finetune"
    return _rendered(fields)


def gguf_metadata(*, license: str, repo: str) -> str:
    """The metadata of the exports' repository, whose base is the checkpoint's repository.

    They answer text even where the checkpoint sees images: no vision tower is exported yet.
    """
    return _rendered(
        {
            **license_fields(license),
            "library_name": "gguf",
            "pipeline_tag": "text-generation",
            "base_model": repo,
            "base_model_relation": "quantized",
            "tags": ["edgezoo", "agent", "phone", "llama.cpp"],
        }
    )


_METHODS = {"sft", "grpo", "merge"}


def _has(records: Mapping[str, StageRecord], kind: str) -> bool:
    return any(record.kind == kind for record in records.values())


def _results(records: list[StageRecord], task: str) -> list[Any]:
    from huggingface_hub import EvalResult

    results = []
    for record in records:
        success = record.metrics.get("success_rate")
        if success is None:
            continue
        world, split = record.settings["agent"]["world"], record.settings["split"]
        results.append(
            EvalResult(
                task_type=task,
                task_name="operating a simulated phone" if world == "phone" else world,
                dataset_type=f"edgezoo-{world}",
                dataset_name=f"{world}, {split}",
                dataset_split=split,
                metric_type="success_rate",
                metric_name="success rate",
                metric_value=success.value,
                metric_args={"n": success.n, "low_95": success.low, "high_95": success.high, "seed": record.seed},
            )
        )
    return results


def _rendered(fields: dict[str, Any]) -> str:
    from huggingface_hub import ModelCardData

    return f"---\n{ModelCardData(**fields).to_yaml()}\n---"

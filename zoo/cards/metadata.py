"""The YAML at the head of a card, in the fields that the Hub draws lineage, filters and leaderboards from."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.cards.lineage import ancestors, datasets, models
from zoo.cards.worlds import WORLDS
from zoo.licences import known
from zoo.records import StageRecord

__all__ = [
    "NAMED_RELATIONS",
    "adapter_metadata",
    "dataset_metadata",
    "eval_results_yaml",
    "gguf_metadata",
    "license_fields",
    "model_metadata",
    "onnx_metadata",
    "space_metadata",
]

NAMED_RELATIONS = ("adapter", "finetune", "merge", "quantized")
"""What `base_model_relation` may be (https://huggingface.co/docs/hub/model-cards#specifying-a-base-model)."""

_UNLISTED = re.compile(r"^licenseref-", re.IGNORECASE)


def license_fields(identifier: str) -> dict[str, str]:
    """An SPDX identifier in the Hub's spelling: its own identifier where it has one, else `other` with a name.

    >>> license_fields("Apache-2.0")
    {'license': 'apache-2.0'}
    >>> license_fields("LicenseRef-qwen-research")
    {'license': 'other', 'license_name': 'qwen-research'}
    """
    terms = known(identifier)
    if terms and terms.listed:
        return {"license": terms.hub}
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
    topics: Sequence[str],
) -> str:
    """The metadata of the checkpoint's repository, between its two lines of dashes. `topics`: tags of its world.

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
        "language": _LANGUAGE,
        "datasets": list(datasets(lineage, model)) or None,
        "tags": ["edgezoo", *topics, *sorted({record.kind for record in made_of.values()} & _METHODS)],
        "model_name": name,
        "eval_results": _results(results, pipeline_tag) or None,
    }
    if base:
        fields["base_model_relation"] = "merge" if _has(made_of, "merge") else "finetune"
    return _rendered(fields)


def gguf_metadata(*, license: str, repo: str, topics: Sequence[str]) -> str:
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
            "language": _LANGUAGE,
            "tags": ["edgezoo", *topics, "llama.cpp"],
        }
    )


def onnx_metadata(*, license: str, repo: str, topics: Sequence[str]) -> str:
    """The metadata of the graphs' repository, whose base is the checkpoint's repository.

    `transformers.js` is the library that the Hub shows a line for; the others are tags.
    """
    return _rendered(
        {
            **license_fields(license),
            "library_name": "transformers.js",
            "pipeline_tag": "text-generation",
            "base_model": repo,
            "base_model_relation": "quantized",
            "language": _LANGUAGE,
            "tags": ["edgezoo", *topics, "onnx", "onnxruntime", "onnxruntime-genai"],
        }
    )


def adapter_metadata(*, license: str, base: str, kind: str, topics: Sequence[str]) -> str:
    """The metadata of an adapter's repository; `base` is what it was trained on, `owner/name`."""
    return _rendered(
        {
            **license_fields(license),
            "library_name": "peft",
            "pipeline_tag": "text-generation",
            "base_model": base or None,
            **({"base_model_relation": "adapter"} if base else {}),
            "language": _LANGUAGE,
            "tags": ["edgezoo", *topics, "lora", kind],
        }
    )


def dataset_metadata(
    *,
    license: str,
    name: str,
    rows: int | None,
    pictures: bool,
    sources: list[str],
    configurations: list[str],
    topics: Sequence[str],
) -> str:
    """The metadata of a dataset's repository. `sources` are the datasets of a Hub that it was drawn from; each of its
    configurations is a folder with `rows.jsonl`."""
    from huggingface_hub import DatasetCardData

    files = [(name, [{"split": "train", "path": f"{name}/rows.jsonl"}]) for name in configurations]
    stated: dict[str, Any] = license_fields(license)
    data = DatasetCardData(
        **stated,
        language=_LANGUAGE,
        pretty_name=name,
        task_categories=["image-text-to-text" if pictures else "text-generation"],
        size_categories=None if rows is None else [_size_category(rows)],
        source_datasets=[f"extended|{source}" for source in dict.fromkeys(sources)] or ["original"],
        tags=["edgezoo", *topics],
        configs=[{"config_name": config, "data_files": paths} for config, paths in files],
    )
    return _framed(data.to_yaml())


def space_metadata(*, license: str, title: str, app: str, models: list[str], topics: Sequence[str]) -> str:
    """The metadata of a Space that shows the models. How it is built (`sdk`, its version, `app_file`, ...) is what the
    app's own README.md says, `app`; the rest is the publication's."""
    from huggingface_hub import SpaceCard, SpaceCardData

    read: Any = SpaceCard(app, ignore_metadata_errors=False)
    shipped = dict(read.data.to_dict())
    stated: dict[str, Any] = license_fields(license)
    told = {"title": title, "models": models, "tags": ["edgezoo", *topics]}
    return _framed(SpaceCardData(**{**shipped, **stated, **told}).to_yaml())


def eval_results_yaml(scores: Mapping[str, StageRecord], model: str, repo: str) -> str | None:
    """`.eval_results/<world>.yaml` of the published model, in the form of huggingface_hub; None without an evaluation.

    The benchmark is named `edgezoo/<world>`; its tasks are the world's splits.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries = []
    for record in scores.values():
        success = record.metrics.get("success_rate")
        if success is None or record.inputs.get("model") != model:
            continue
        interval = "" if success.low is None else f", 95 % interval {success.low:.4f} to {success.high:.4f}"
        entries.append(
            EvalResultEntry(
                dataset_id=f"edgezoo/{record.settings['agent']['world']}",
                task_id=record.settings["split"],
                value=success.value,
                date=record.started,
                source_url=f"https://huggingface.co/{repo}",
                source_name="the run's own records",
                notes=f"success rate, n={success.n}{interval}, seed {record.seed}",
            )
        )
    if not entries:
        return None
    return str(yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False))


_METHODS = {"sft", "distill", "grpo", "merge"}
_LANGUAGE = ["en"]
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def _size_category(rows: int) -> str:
    return next((name for most, name in _SIZES if rows < most), "1M<n<10M")


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
                task_name=WORLDS[world].task,
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

    return _framed(ModelCardData(**fields).to_yaml())


def _framed(text: str) -> str:
    return f"---\n{text.strip()}\n---"

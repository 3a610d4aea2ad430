"""What the cards of a publication are written from: records, the resolved lock, a look into the files themselves."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from zoo import records
from zoo.cards import CardData, Exports, PublishedRows, RecipeFacts
from zoo.errors import ModelError
from zoo.licences import Licence, Refused, Source, combine
from zoo.records import StageContext, StageRecord
from zoo.refs import Ref, StageRef
from zoo.schema import PublishSpec

__all__ = [
    "ADAPTER_FOLDER",
    "LOCK_NAME",
    "RECIPE_NAME",
    "ROWS_NAME",
    "adapter_place",
    "card_data",
    "licence_of_rows",
    "record_of",
]

RECIPE_NAME = "recipe.yaml"
LOCK_NAME = "recipe.lock.yaml"
ROWS_NAME = "rows.jsonl"
ADAPTER_FOLDER = "adapter"

_JSON_TYPES = {str: "text", int: "number", float: "number", bool: "yes or no", list: "list", dict: "object"}


def card_data(spec: PublishSpec, ctx: StageContext, exports: Mapping[str, Exports]) -> CardData:
    """Everything that the cards say. `exports`: what is laid out, by the folder of the publication (`GGUF`, `ONNX`).

    Raises ModelError for an adapter that cannot be published.
    """
    config = json.loads((ctx.inputs["model"] / "config.json").read_text("utf-8"))
    return CardData(
        repo=spec.repo,
        recipe=_recipe(ctx),
        model=_resolved(spec.model, ctx),
        lineage=ctx.lineage,
        scores={label: record_of(ref, f"scores.{label}", ctx) for label, ref in spec.scores.items()},
        gguf=exports.get("GGUF"),
        onnx=exports.get("ONNX"),
        pipeline_tag="image-text-to-text" if "vision_config" in config else "text-generation",
        adapter_of=_adapter_of(spec, ctx),
        rows=tuple(_rows(ref, f"datasets.{index}", ctx) for index, ref in enumerate(spec.datasets)),
        space=spec.space,
    )


def adapter_place(spec: PublishSpec) -> str:
    """Under which name of `ctx.inputs` the adapter's stage is."""
    return "model" if spec.adapter is True else "adapter"


def licence_of_rows(data: CardData) -> str:
    """The licence of the published rows: that of the datasets that went into them, else the recipe's own."""
    licence = data.recipe.licence
    datasets = [source for source in licence.sources if source.role == "dataset"] if licence else []
    try:
        terms = combine(datasets)
    except Refused:
        if licence and licence.reason:  # the recipe's word stands for all that it publishes
            return data.recipe.license
        raise
    return terms.spdx if terms else data.recipe.license


def _recipe(ctx: StageContext) -> RecipeFacts:
    lock = yaml.safe_load(ctx.recipe_files[LOCK_NAME])
    licence = _licence(lock, ctx)
    return RecipeFacts(
        name=lock["name"],
        version=lock["version"],
        summary=lock["summary"],
        license=licence.spdx if licence else lock["license"],
        seed=lock["seed"],
        text=ctx.recipe_files[RECIPE_NAME],
        files=(RECIPE_NAME, *sorted(ctx.recipe_files.keys() - {RECIPE_NAME, LOCK_NAME})),
        overrides=tuple(lock.get("overrides", ())),
        tiny=lock["tiny"],
        licence=licence,
    )


def _licence(lock: Mapping[str, Any], ctx: StageContext) -> Licence | None:
    """What the lock says of this publication, which is the stage whose key its folder bears."""
    computed = lock.get("licences") or {}
    key = ctx.out.name.removesuffix(".part")
    # A recipe with one publication, as nearly all have, needs no looking for it.
    mine = [name for name in computed if lock["stages"].get(name, {}).get("key") == key] or list(computed)[:1]
    if not mine:
        return None
    told = computed[mine[0]]
    sources = (Source(entry["source"], entry["role"], tuple(entry["licences"])) for entry in told["sources"])
    return Licence(told["license"], tuple(told["obligations"]), tuple(sources), told["reason"])


def _adapter_of(spec: PublishSpec, ctx: StageContext) -> StageRecord | None:
    if spec.adapter is False:
        return None
    ref = spec.model if spec.adapter is True else spec.adapter
    if not isinstance(ref, StageRef):
        raise ModelError(f"publish.adapter: {ref} is no stage of this recipe; name the training stage: stage:sft")
    record = ctx.lineage[ref.name]
    if not (ctx.inputs[adapter_place(spec)] / ADAPTER_FOLDER / "adapter_model.safetensors").is_file():
        raise ModelError(
            f"publish.adapter: stage {ref.name} ({record.kind}) left no adapter; name a training stage with `lora:`"
        )
    base = record.inputs.get("model", "")
    made_of = next((other for other in ctx.lineage.values() if f"stage:{other.key}" == base), None)
    if made_of is not None and made_of.kind != "tiny":
        raise ModelError(
            f"publish.adapter: the adapter of {ref.name} belongs on stage {made_of.name}, which is not published by "
            "itself; name a stage that began from a model of a Hub"
        )
    return record


def _rows(ref: Ref, place: str, ctx: StageContext) -> PublishedRows:
    folder = ctx.inputs[place]
    with (folder / ROWS_NAME).open(encoding="utf-8") as file:
        first = json.loads(file.readline())
    columns = {name: _JSON_TYPES.get(type(value), "nothing") for name, value in first.items()}
    return PublishedRows(record_of(ref, place, ctx), columns, pictures=(folder / "images").is_dir())


def record_of(ref: Ref, place: str, ctx: StageContext) -> StageRecord:
    """The record of the stage that a reference of the publication names."""
    return ctx.lineage[ref.name] if isinstance(ref, StageRef) else records.read(ctx.inputs[place])


def _resolved(ref: Ref, ctx: StageContext) -> str:
    return f"stage:{ctx.lineage[ref.name].key}" if isinstance(ref, StageRef) else str(ref)

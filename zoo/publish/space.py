"""The Space of a publication: the app as it is shipped, told which repositories, records and episodes to show.

What a Space holds is decided where the app is (`zoo.space`), which is reached through its name, as stages are: a
recipe that asks for no Space needs nothing of it. Not covered: secrets, hardware and variables of a Space.
"""

from pathlib import Path
from typing import Any, Literal

from zoo import registry, shipped
from zoo.cards import CardData, Exports, space_card
from zoo.publish.facts import RECIPE_NAME
from zoo.publish.files import add
from zoo.records import StageContext, StageRecord
from zoo.schema import PublishSpec

__all__ = ["lay_out", "title_of"]

_EPISODES = "episodes.jsonl"
_RUNTIMES = {"GGUF": "gguf", "ONNX": "onnx"}


def lay_out(spec: PublishSpec, data: CardData, ctx: StageContext, target: Path) -> str:
    """Everything of the Space but what every repository of a publication has; returns its card.

    Raises DataError when an evaluation's episodes are not of its record's tasks.
    """
    app = shipped.folder("spaces") / "agent"
    card = space_card(data, title_of(data), (app / "README.md").read_text("utf-8"))
    records = {name: record for name, record in data.lineage.items() if record.kind != "tiny"}
    files = registry.load("zoo.space:space_files")(
        _settings(spec, data), records, _episodes(spec, ctx), card=card, recipe=ctx.recipe_files[RECIPE_NAME]
    )
    target.mkdir()
    add(target, files)
    return card


def title_of(data: CardData) -> str:
    """What the page is called: the model's own name."""
    return data.repo.partition("/")[2]


def _settings(spec: PublishSpec, data: CardData) -> Any:
    acted = data.acted
    assert acted is not None, "a Space without an evaluation is refused before anything runs"
    return registry.load("zoo.space:SpaceSettings").model_validate(
        {
            "title": title_of(data),
            "summary": data.recipe.summary,
            "license": data.recipe.license,
            "repository": data.repo,
            "repositories": [data.repo, *(exports.repo for exports in data.exports)],
            "agent": acted.settings["agent"],
            "split": acted.settings["split"],
            "seed": acted.seed,
            "models": _models(data),
            "scores": {label: record.name for label, record in data.scores.items()},
            "verify": _name(data.gguf, "verify"),
            "onnx_verify": _name(data.onnx, "verify"),
            "latency": _name(data.gguf, "latency"),
            "onnx_latency": _name(data.onnx, "latency"),
            "file_scores": {kind: str(ref.name) for kind, ref in spec.file_scores.items() if hasattr(ref, "name")},
            "tiny": any(record.tiny for record in data.lineage.values()),
        }
    )


def _name(exports: Exports | None, measured: Literal["verify", "latency"]) -> str:
    """The record that looked at the files of one format; empty when that was not run."""
    record: StageRecord | None = getattr(exports, measured) if exports else None
    return record.name if record else ""


def _models(data: CardData) -> list[dict[str, Any]]:
    """Every published file, and the checkpoint, which a page offers where torch is installed."""
    return [
        *_files(data),
        {
            "name": f"{title_of(data)} checkpoint",
            "runtime": "torch",
            "repository": data.repo,
            "bytes": _weights(data),
            "type": "checkpoint",
        },
    ]


def _weights(data: CardData) -> int:
    """Bytes of the checkpoint's weights, as its stage's record has them; 0 when it is none of this run's."""
    made = next((record for record in data.lineage.values() if f"stage:{record.key}" == data.model), None)
    files = made.files.items() if made else ()
    return sum(facts["bytes"] for path, facts in files if path.endswith(".safetensors") and "/" not in path)


def _files(data: CardData) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{title_of(data)} {file.type}{'' if exports.format == 'GGUF' else f' ({exports.format})'}",
            "runtime": _RUNTIMES[exports.format],
            "repository": exports.repo,
            "file": file.name,
            "bytes": file.bytes,
            "type": file.type.lower(),
            "recommended": file == data.recommended,
        }
        for exports in data.exports
        for file in exports.files
    ]


def _episodes(spec: PublishSpec, ctx: StageContext) -> dict[str, str]:
    """Name of an evaluation -> some of its episodes, to be played again without a model.

    Those of the published model, where it was evaluated: what the base could not do is no example of what this can.
    """
    recorded = registry.load("zoo.space:recorded")
    model = ctx.lineage.get(getattr(spec.model, "name", ""))
    found, own = {}, {}
    for label, ref in spec.scores.items():
        file = ctx.inputs[f"scores.{label}"] / _EPISODES
        record = ctx.lineage.get(getattr(ref, "name", ""))
        if record is not None and file.is_file():
            found[record.name] = recorded(record, file.read_text("utf-8"))
            if model is not None and record.inputs.get("model") == f"stage:{model.key}":
                own[record.name] = found[record.name]
    return own or found

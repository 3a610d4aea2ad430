"""A page for what lies on this machine: settings made of a finished run's own records. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.environments import Split
from zoo.formats import gguf_names, onnx_files
from zoo.records import StageRecord
from zoo.refs import StageRef
from zoo.schema import AgentSpec, PublishSpec, Recipe
from zoo.space.settings import SpaceModel, SpaceSettings

__all__ = ["models_in", "settings_of_records", "settings_of_run"]

_RECOMMENDED = "q8_0"


def settings_of_run(recipe: Recipe, records: Mapping[str, StageRecord], models: Sequence[SpaceModel]) -> SpaceSettings:
    """The page of a finished run. `records`: name of each finished stage -> its record."""
    spec = next((one for one in recipe.stages.values() if isinstance(one, PublishSpec)), None)
    scores = spec.scores if spec else {}
    named = {label: ref.name for label, ref in scores.items() if isinstance(ref, StageRef) and ref.name in records}
    evaluated = named or {name: name for name, record in records.items() if record.kind == "evaluate"}
    files = spec.file_scores if spec else {}
    return SpaceSettings(
        title=gguf_names.title(recipe.name),
        summary=recipe.summary,
        license=recipe.license,
        agent=recipe.agent,
        split=_split(records, evaluated),
        seed=next((records[name].seed for name in reversed(evaluated.values())), recipe.seed),
        models=tuple(models),
        scores=evaluated,
        **_measured(records),
        file_scores={kind: ref.name for kind, ref in files.items() if isinstance(ref, StageRef)},
        local=True,
        tiny=any(record.tiny for record in records.values()),
    )


def settings_of_records(
    repository: str, hub: str, records: Mapping[str, StageRecord], models: Sequence[SpaceModel]
) -> SpaceSettings:
    """The page of a published repository that has no Space, from the records that it carries."""
    evaluated = {name: name for name, record in records.items() if record.kind == "evaluate"}
    agent: dict[str, Any] = next((records[name].settings["agent"] for name in reversed(evaluated)), {})
    return SpaceSettings(
        title=gguf_names.title(repository.partition("/")[2])[:80],
        repository=repository,
        repositories=tuple(dict.fromkeys(model.repository for model in models if model.repository)),
        hub=hub,
        agent=AgentSpec(**agent),
        split=_split(records, evaluated),
        seed=next((records[name].seed for name in reversed(evaluated)), 0),
        models=tuple(models),
        scores=evaluated,
        **_measured(records),
        local=True,
        tiny=any(record.tiny for record in records.values()),
    )


def models_in(folder: Path, title: str) -> list[SpaceModel]:
    """The models of an export's folder, or of a checkpoint's: each where it lies."""
    found = [
        _model(title, gguf_names.type_of(file.name), "gguf", file, gguf_names.shards(file))
        for file in gguf_names.first_files(folder)
    ]
    found += [
        _model(title, variant, "onnx", graph, sorted(graph.parent.glob(f"{graph.name}*")))
        for variant, graph in onnx_files.find(folder).items()
    ]
    weights = sorted(folder.glob("model*.safetensors"))
    if weights and (folder / "config.json").is_file():
        found.append(_model(title, "checkpoint", "torch", folder, weights))
    return found


def _model(title: str, kind: str, runtime: str, place: Path, files: Sequence[Path]) -> SpaceModel:
    return SpaceModel.model_validate(
        {
            "name": f"{title} {kind.upper() if runtime == 'gguf' else f'{kind} ({runtime})'}",
            "runtime": runtime,
            "path": str(place),
            "bytes": sum(file.stat().st_size for file in files),
            "type": kind,
            "recommended": kind == _RECOMMENDED,
        }
    )


def _split(records: Mapping[str, StageRecord], evaluated: Mapping[str, str]) -> Split:
    splits: list[Split] = [records[name].settings["split"] for name in evaluated.values()]
    return splits[-1] if splits else "held-out-parameters"


def _measured(records: Mapping[str, StageRecord]) -> dict[str, str]:
    """Which record looked at the files of which format: the last of each, told apart by the export that it read."""
    exports = {f"stage:{record.key}": record.kind for record in records.values() if record.kind in ("gguf", "onnx")}
    found: dict[str, str] = {}
    for name, record in records.items():
        if record.kind in ("verify", "latency"):
            of_onnx = exports.get(record.inputs.get("export", "")) == "onnx"
            found[f"onnx_{record.kind}" if of_onnx else record.kind] = name
    return found

"""Repositories as folders: `model/` is what goes to `owner/name`, `GGUF/` what goes to `owner/name-GGUF`.

What is laid out here depends on nothing but the stage's inputs, and no Hub is asked.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import yaml

from zoo import checkpoint, records
from zoo.cards import CardData, RecipeFacts, gguf_card, model_card
from zoo.errors import ModelError
from zoo.formats import gguf_names
from zoo.publish import machine_paths
from zoo.records import Metric, StageContext, StageRecord, StageResult
from zoo.refs import Ref, StageRef
from zoo.schema import PublishSpec

__all__ = ["GGUF_FOLDER", "LOCK_NAME", "MODEL_FOLDER", "RECIPE_NAME", "RECORDS_FOLDER", "run"]

MODEL_FOLDER = "model"
GGUF_FOLDER = "GGUF"
RECORDS_FOLDER = "records"
RECIPE_NAME = "recipe.yaml"
LOCK_NAME = "recipe.lock.yaml"

# What a checkpoint is made of. Whatever else lies in its folder (a trainer's card, optimizer states, pickled arguments)
# stays where it is: what is not named here is not published.
_WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")
_DESCRIPTIONS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "LICENSE*",
    "NOTICE*",
)


def run(spec: PublishSpec, ctx: StageContext) -> StageResult:
    """Lay out every repository of a publication under `ctx.out`.

    Large files are hard links to what earlier stages made. Raises ModelError for a checkpoint that is not whole,
    RecipeError when the recipe itself names a folder of this machine, RuntimeError when anything else would.
    """
    places = machine_paths.of(ctx)
    machine_paths.refuse_in_recipe(ctx.recipe_files, places)
    model = ctx.out / MODEL_FOLDER
    _lay_out_checkpoint(ctx.inputs["model"], model)
    names = _exports(spec, ctx)
    data = _card_data(spec, ctx, names)
    _write(model / "README.md", model_card(data))
    for name, text in ctx.recipe_files.items():
        _write(model / name, text)
    _write_records(ctx.lineage, model / RECORDS_FOLDER)
    if spec.export:
        exports = ctx.out / GGUF_FOLDER
        _lay_out_exports(spec, ctx, names, model / "config.json", exports)
        _write(exports / "README.md", gguf_card(data))
        _write_records(ctx.lineage, exports / RECORDS_FOLDER)
    machine_paths.refuse_in(ctx.out, places)
    return _result(ctx.out)


def _lay_out_checkpoint(source: Path, target: Path) -> None:
    weights = _matching(source, _WEIGHTS)
    if not (source / "config.json").is_file() or not any(file.suffix == ".safetensors" for file in weights):
        found = ", ".join(sorted(file.name for file in source.iterdir())) or "nothing"
        raise ModelError(
            f"{source.name} is no whole checkpoint: it holds {found}; publish needs config.json and "
            "model*.safetensors (merge an adapter into its base first, and convert pickled weights to safetensors)"
        )
    target.mkdir(parents=True)
    for file in weights:
        _link(file, target / file.name)
    for file in _matching(source, _DESCRIPTIONS):
        # Copied, since the next line edits them and a link would reach into the stage that made them.
        shutil.copyfile(file, target / file.name)
    checkpoint.dual_version(target)


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return [file for pattern in patterns for file in sorted(folder.glob(pattern)) if file.is_file()]


def _exports(spec: PublishSpec, ctx: StageContext) -> dict[str, str]:
    """Each exported file -> its published name."""
    if not spec.export:
        return {}
    files = sorted(ctx.inputs["export"].glob("model-*.gguf"))
    if not files:
        raise RuntimeError(f"the export {spec.export} holds no model-*.gguf")
    return gguf_names.published([file.name for file in files], spec.repo.partition("/")[2])


def _lay_out_exports(
    spec: PublishSpec, ctx: StageContext, names: Mapping[str, str], config: Path, target: Path
) -> None:
    target.mkdir()
    for source, name in names.items():
        _link(ctx.inputs["export"] / source, target / name)
    beside = [file.name for file in gguf_names.side_files(ctx.inputs["export"])]
    for source, name in gguf_names.published(beside, spec.repo.partition("/")[2]).items():
        _link(ctx.inputs["export"] / source, target / name)
    shutil.copyfile(config, target / "config.json")
    if "verify" in ctx.inputs:
        shutil.copyfile(ctx.inputs["verify"] / "verify.json", target / "verify.json")


def _card_data(spec: PublishSpec, ctx: StageContext, names: Mapping[str, str]) -> CardData:
    lock = yaml.safe_load(ctx.recipe_files[LOCK_NAME])
    recipe = RecipeFacts(
        name=lock["name"],
        version=lock["version"],
        summary=lock["summary"],
        license=lock["license"],
        seed=lock["seed"],
        text=ctx.recipe_files[RECIPE_NAME],
        overrides=tuple(lock.get("overrides", ())),
        tiny=lock["tiny"],
    )
    config = json.loads((ctx.inputs["model"] / "config.json").read_text("utf-8"))
    return CardData(
        repo=spec.repo,
        recipe=recipe,
        model=_resolved(spec.model, ctx),
        lineage=ctx.lineage,
        scores={label: _record(ref, f"scores.{label}", ctx) for label, ref in spec.scores.items()},
        export=_record(spec.export, "export", ctx) if spec.export else None,
        verify=_record(spec.verify, "verify", ctx) if spec.verify else None,
        published_files=names,
        pipeline_tag="image-text-to-text" if "vision_config" in config else "text-generation",
    )


def _record(ref: Ref, place: str, ctx: StageContext) -> StageRecord:
    return ctx.lineage[ref.name] if isinstance(ref, StageRef) else records.read(ctx.inputs[place])


def _resolved(ref: Ref, ctx: StageContext) -> str:
    return f"stage:{ctx.lineage[ref.name].key}" if isinstance(ref, StageRef) else str(ref)


def _write_records(lineage: Mapping[str, StageRecord], folder: Path) -> None:
    for name, record in lineage.items():
        text = json.dumps(asdict(record), indent=2, sort_keys=True, ensure_ascii=False)
        _write(folder / f"{name}.json", text + "\n")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")


def _link(source: Path, target: Path) -> None:
    """A hard link; a copy where the two lie on different disks. `source` may be a link into a Hub's cache."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _result(out: Path) -> StageResult:
    files = [file for file in sorted(out.rglob("*")) if file.is_file()]
    listed = [{"file": str(file.relative_to(out)), "bytes": file.stat().st_size} for file in files]
    metrics = {
        "files": Metric(len(files), "files"),
        "bytes": Metric(sum(file.stat().st_size for file in files), "bytes"),
    }
    return StageResult(metrics, {"files": listed})

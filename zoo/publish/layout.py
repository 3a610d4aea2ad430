"""Repositories as folders: `model/` is what goes to `owner/name`, `GGUF/` what goes to `owner/name-GGUF`, and so on.

What is laid out here depends on nothing but the stage's inputs, and no Hub is asked.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from zoo import checkpoint
from zoo.cards import (
    FILE_PLOTS,
    CardData,
    adapter_card,
    dataset_card,
    eval_results,
    gguf_card,
    model_card,
    onnx_card,
    pictures,
)
from zoo.cards.lineage import hub_repo
from zoo.errors import ModelError
from zoo.publish import entry, exports, facts, machine_paths, space
from zoo.publish.files import add, link, matching
from zoo.records import Metric, StageContext, StageRecord, StageResult
from zoo.schema import PublishSpec

__all__ = ["BRANCHES", "FOLDERS", "GENERATED_CARD", "RECORDS_FOLDER", "repositories", "run"]

# A folder of the publication -> what follows `owner/name` in its repository's name, and the repository's type.
FOLDERS: dict[str, tuple[str, Literal["model", "dataset", "space"]]] = {
    "model": ("", "model"),
    "GGUF": ("-GGUF", "model"),
    "ONNX": ("-ONNX", "model"),
    "adapter": ("-adapter", "model"),
    "data": ("-data", "dataset"),
    # Spaces have names of their own, so that a model and the page that shows it may share one.
    "space": ("", "space"),
}
RECORDS_FOLDER = "records"
BRANCHES = "branches"
GENERATED_CARD = f"{RECORDS_FOLDER}/card.md"
"""The card as it was generated: whoever edits README.md on a Hub leaves this one, and so the edit is seen."""
_EXPORT_CARDS = {"GGUF": gguf_card, "ONNX": onnx_card}

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


def repositories(spec: PublishSpec) -> dict[str, str]:
    """Folder of the publication -> the repository that it goes to, as `owner/name`; a Space as `spaces/owner/name`.

    >>> repositories(PublishSpec(repo="me/small", model="stage:sft", export="stage:gguf", space=True))
    {'model': 'me/small', 'GGUF': 'me/small-GGUF', 'space': 'spaces/me/small'}
    """
    wanted = {
        "model": True,
        "GGUF": spec.export,
        "ONNX": spec.onnx,
        "adapter": spec.adapter,
        "data": spec.datasets,
        "space": spec.space,
    }
    return {
        folder: ("spaces/" if kind == "space" else "") + spec.repo + suffix
        for folder, (suffix, kind) in FOLDERS.items()
        if wanted[folder]
    }


def run(spec: PublishSpec, ctx: StageContext) -> StageResult:
    """Lay out every repository of a publication under `ctx.out`.

    Large files are hard links to what earlier stages made. Raises ModelError for a checkpoint that is not whole,
    RecipeError when the recipe itself names a folder of this machine, RuntimeError when anything else would.
    """
    places = machine_paths.of(ctx)
    machine_paths.refuse_in_recipe(ctx.recipe_files, places)
    _lay_out_checkpoint(ctx.inputs["model"], ctx.out / "model")
    exported = exports.exports_of(spec, ctx)
    data = facts.card_data(spec, ctx, exported)
    plots = pictures(data)
    texts = {"model": model_card(data)}
    told = entry.text(data, sum(file.stat().st_size for file in (ctx.out / "model").glob("*.safetensors")))
    add(ctx.out / "model", {**dict(ctx.recipe_files), **eval_results(data), **plots, entry.NAME: told})
    for branch in spec.branches:
        _lay_out_branch(ctx.inputs[f"branches.{branch}"], branch, spec, ctx.out / BRANCHES / branch)
    for folder, files in exported.items():
        texts[folder] = _EXPORT_CARDS[folder](data)
        exports.lay_out(files, spec, ctx, ctx.out / folder)
        add(ctx.out / folder, {path: content for path, content in plots.items() if path in FILE_PLOTS})
    if data.adapter_of:
        texts["adapter"] = adapter_card(data)
        _lay_out_adapter(ctx.inputs[facts.adapter_place(spec)], data, ctx.out / "adapter")
    if spec.datasets:
        texts["data"] = dataset_card(data, facts.licence_of_rows(data))
        _lay_out_rows(ctx, data, ctx.out / "data")
    if spec.space:
        texts["space"] = space.lay_out(spec, data, ctx, ctx.out / "space")
    for folder, card in texts.items():
        add(ctx.out / folder, {"README.md": card, GENERATED_CARD: card, **_records(ctx.lineage)})
    machine_paths.refuse_in(ctx.out, places)
    return _result(ctx.out)


def _lay_out_checkpoint(source: Path, target: Path) -> None:
    weights = matching(source, _WEIGHTS)
    if not (source / "config.json").is_file() or not any(file.suffix == ".safetensors" for file in weights):
        found = ", ".join(sorted(file.name for file in source.iterdir())) or "nothing"
        raise ModelError(
            f"{source.name} is no whole checkpoint: it holds {found}; publish needs config.json and "
            "model*.safetensors (merge an adapter into its base first, and convert pickled weights to safetensors)"
        )
    target.mkdir(parents=True)
    for file in weights:
        link(file, target / file.name)
    for file in matching(source, _DESCRIPTIONS):
        # Copied, since the next line edits them and a link would reach into the stage that made them.
        shutil.copyfile(file, target / file.name)
    checkpoint.dual_version(target)


def _lay_out_branch(source: Path, branch: str, spec: PublishSpec, target: Path) -> None:
    """A checkpoint on the way; its card leads to the one that tells how it was measured."""
    _lay_out_checkpoint(source, target)
    ref = spec.branches[branch]
    text = f"The checkpoint of {ref} on the way to `{spec.repo}`; see the card on its main branch.\n"
    add(target, {"README.md": f"---\nlibrary_name: transformers\n---\n\n# {branch}\n\n{text}"})


def _lay_out_adapter(source: Path, data: CardData, target: Path) -> None:
    """The adapter, naming its base as the Hub knows it and not as the folder that it was trained from."""
    assert data.adapter_of is not None
    target.mkdir()
    config = json.loads((source / facts.ADAPTER_FOLDER / "adapter_config.json").read_text("utf-8"))
    base = hub_repo(data.adapter_of.inputs["model"])
    config["base_model_name_or_path"], config["revision"] = base or (None, None)
    add(target, {"adapter_config.json": json.dumps(config, indent=2, sort_keys=True) + "\n"})
    link(source / facts.ADAPTER_FOLDER / "adapter_model.safetensors", target / "adapter_model.safetensors")
    for file in matching(source, ("tokenizer*.json", "chat_template.jinja", "special_tokens_map.json")):
        shutil.copyfile(file, target / file.name)


def _lay_out_rows(ctx: StageContext, data: CardData, target: Path) -> None:
    for index, rows in enumerate(data.rows):
        source = ctx.inputs[f"datasets.{index}"]
        for file in [source / facts.ROWS_NAME, *sorted((source / "images").glob("*"))]:
            place = target / rows.name / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            link(file, place)


def _records(lineage: Mapping[str, StageRecord]) -> dict[str, str]:
    return {
        f"{RECORDS_FOLDER}/{name}.json": json.dumps(asdict(record), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, record in lineage.items()
    }


def _result(out: Path) -> StageResult:
    files = [file for file in sorted(out.rglob("*")) if file.is_file()]
    listed = [{"file": str(file.relative_to(out)), "bytes": file.stat().st_size} for file in files]
    metrics = {
        "files": Metric(len(files), "files"),
        "bytes": Metric(sum(file.stat().st_size for file in files), "bytes"),
    }
    return StageResult(metrics, {"files": listed})

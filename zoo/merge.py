"""A merge of checkpoints by mergekit, and the proof that every tensor of the base is in it.

The recipe's `mergekit:` mapping goes in as it stands; only references become folders. mergekit drops a module that its
configuration does not name without a word, spreads `models:` over the eyes of a model too, and does not copy an image
processor's newer files: all three are mended here.
"""

import copy
import json
import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import checkpoint, options, towers
from zoo.errors import ModelError, Problem, RecipeError
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import MergeSpec

__all__ = ["CONFIG_NAME", "distance", "run"]

CONFIG_NAME = "mergekit_config.json"

# Beside weights and config, what a checkpoint needs in order to be asked and to stop.
_DONATED = (
    "generation_config.json", "chat_template.jinja", "chat_template.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
    "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json",
)  # fmt: skip
_OPTIONAL = ("lm_head.weight", "rotary_emb.inv_freq")
"""Tensors that a checkpoint may leave out: a head tied to the embedding, frequencies that follow from the config."""
_EYES = {"vision_tower": "vision", "vision_model": "vision", "multi_modal_projector": "projector"}
"""mergekit's modules of what sees, and the towers that they are."""
_MODULES = (
    "write `modules:` with `models:` under each of text_decoder, vision_tower and multi_modal_projector, those that "
    "stay as they are with the base_model alone at weight 1"
)
_SHARD_PARAMETERS = 2_000_000_000


def run(spec: MergeSpec, ctx: StageContext) -> StageResult:
    """Merge into `ctx.out`.

    Raises RecipeError for a configuration that mergekit or `zoo.options` refuses, ModelError for an input that is not
    whole or no relative of the base, for inputs that see differently unless `modules:` says whose eyes the merge gets,
    and for a merge that lacks a tensor of the base.
    """
    _refuse(spec.mergekit)
    folders = {place: folder for place, folder in ctx.inputs.items() if place.startswith("mergekit.")}
    before = {folder: checkpoint.tensors(folder) for folder in dict.fromkeys(folders.values())}
    base = folders["mergekit.base_model"]
    _fit_together(before, base, folders, spec.mergekit)
    kept = _kept_towers(spec.mergekit, base, folders)
    started = time.perf_counter()
    _merge(_with_folders(spec.mergekit, folders), ctx)
    seconds = time.perf_counter() - started
    _donate(base, ctx.out)
    checkpoint.dual_version(ctx.out)
    _compare(before[base], checkpoint.tensors(ctx.out), spec.mergekit)
    if moved := towers.differing(base, ctx.out, kept) if kept else []:
        raise ModelError(
            f"the merge moved {len(moved)} tensors of the base's {' and '.join(kept)}, {moved[0]} the first of them, "
            f"which are equal in all inputs: the method does not keep what is equal; {_MODULES}"
        )
    (ctx.out / CONFIG_NAME).write_text(json.dumps(spec.mergekit, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return StageResult({"merge_seconds": Metric(seconds, "s"), **_distances(before, base, ctx.out)})


def distance(merged: Path, base: Path, other: Path) -> float:
    """How far a merge went from one checkpoint to another: |M - A| / |B - A| over all weights, tensor by tensor.

    0 is the base, 1 as far as the other; NaN when both are the same.
    """
    import torch

    moved = apart = 0.0
    for tensors in _side_by_side(merged, base, other):
        result, start, end = (tensor.to(torch.float64) for tensor in tensors)
        moved += float(((result - start) ** 2).sum())
        apart += float(((end - start) ** 2).sum())
    return math.sqrt(moved / apart) if apart else math.nan


def _refuse(configuration: Mapping[str, Any]) -> None:
    found = options.check("mergekit", configuration)
    if found:
        raise RecipeError([
            Problem(f"mergekit.{problem.path}".rstrip("."), problem.message, problem.hint) for problem in found
        ])  # fmt: skip


def _fit_together(
    before: Mapping[Path, Mapping[str, checkpoint.TensorFacts]],
    base: Path,
    folders: Mapping[str, Path],
    configuration: Mapping[str, Any],
) -> None:
    """Refuse inputs that are not of one architecture and size, by the first tensor of which that can be seen.

    transformers 4 and 5 name the tensors of some families differently, and mergekit knows both.
    """
    if "slices" in configuration or _has_slices(configuration.get("modules")):
        return  # models of different depth may give their layers
    expected = _plain_shapes(before[base])
    for place, folder in folders.items():
        found = _plain_shapes(before[folder])
        for name in sorted(expected.keys() | found.keys()):
            here, there = found.get(name), expected.get(name)
            if (here and there and _alike(here, there, _new_vocabulary(configuration))) or (
                None in (here, there) and name.endswith(_OPTIONAL)
            ):
                continue
            raise ModelError(
                f"{place} and the base_model cannot be merged: {name} {_said(here)} in the one and {_said(there)} in "
                "the other; merge models of one architecture and size, or name layers under `slices:`"
            )


def _plain_shapes(tensors: Mapping[str, checkpoint.TensorFacts]) -> dict[str, tuple[int, ...]]:
    return {towers.plain_name(name): tensor.shape for name, tensor in tensors.items()}


def _said(shape: tuple[int, ...] | None) -> str:
    return "is missing" if shape is None else f"has the shape {shape}"


def _kept_towers(configuration: Mapping[str, Any], base: Path, folders: Mapping[str, Path]) -> list[str]:
    """The towers for images that the merge is to have from the base, bit for bit.

    Raises ModelError when `models:` would mix the eyes of inputs that see differently.
    """
    if not checkpoint.facts(base).sees_images:
        return []
    if modules := configuration.get("modules"):
        return [_EYES[name] for name, module in modules.items() if name in _EYES and _is_base(module, configuration)]
    eyes = sorted(set(_EYES.values()))
    for place, folder in folders.items():
        if folder != base and (moved := towers.differing(base, folder, eyes)):
            raise ModelError(
                f"{place} sees differently from the base_model ({moved[0]} is the first of {len(moved)} tensors), and "
                f"`models:` would mix their eyes; {_MODULES}"
            )
    return eyes


def _is_base(module: Mapping[str, Any], configuration: Mapping[str, Any]) -> bool:
    """Whether a module is the base's alone and at full weight."""
    models = module.get("models") or ()
    return [one.get("model") for one in models] == [configuration["base_model"]] and all(
        (one.get("parameters") or {}) in ({}, {"weight": 1}) for one in models
    )


def _with_folders(configuration: Mapping[str, Any], folders: Mapping[str, Path]) -> dict[str, Any]:
    """The configuration with the folder of each reference at its place."""
    replaced = copy.deepcopy(dict(configuration))
    for place, folder in folders.items():
        *way, last = place.split(".")[1:]
        node: Any = replaced
        for step in way:
            node = node[int(step)] if isinstance(node, list) else node[step]
        node[last] = str(folder)
    return replaced


def _merge(configuration: Mapping[str, Any], ctx: StageContext) -> None:
    from mergekit.config import MergeConfiguration
    from mergekit.io.tasks import LoaderCache
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    try:
        parsed = MergeConfiguration.model_validate(configuration)
    except (ValueError, RuntimeError) as error:
        raise RecipeError([Problem("mergekit", str(error))]) from error
    settings = MergeOptions(
        copy_tokenizer=True, random_seed=ctx.seed, quiet=True, device=ctx.device, out_shard_size=_SHARD_PARAMETERS,
        write_model_card=False,  # it lists this machine's paths; `zoo.cards` writes the card from the record
    )  # fmt: skip
    # It keeps files open by path: a checkpoint that was made anew at the same path would be read as it was.
    LoaderCache.loaders.clear()
    try:
        run_merge(parsed, str(ctx.out), options=settings)
    except (ValueError, RuntimeError) as error:
        ctx.log.exception("mergekit ended")  # its message alone would not tell a bug of its own
        last = (str(error).strip() or repr(error)).splitlines()[-1]
        raise ModelError(f"mergekit cannot make this merge: {last}; the log has the whole of it") from error
    finally:
        LoaderCache.loaders.clear()


def _donate(base: Path, out: Path) -> None:
    for name in _DONATED:
        if (base / name).is_file() and not (out / name).exists():
            shutil.copyfile(base / name, out / name)


def _compare(
    base: Mapping[str, checkpoint.TensorFacts],
    merged: Mapping[str, checkpoint.TensorFacts],
    configuration: Mapping[str, Any],
) -> None:
    """Refuse a merge that lacks a tensor of the base or has one of another shape."""
    if "slices" in configuration or _has_slices(configuration.get("modules")):
        return  # layers are taken out and put in: the set of tensors is meant to differ
    if missing := sorted(base.keys() - merged.keys()):
        raise ModelError(
            f"the merge lacks {len(missing)} of the base's {len(base)} tensors, {missing[0]} the first of them; "
            "under `modules:` name every module, those that stay as they are with the base alone at weight 1"
        )
    for name, tensor in base.items():
        shape = merged[name].shape
        if not _alike(shape, tensor.shape, _new_vocabulary(configuration)):
            raise ModelError(f"{name} has the shape {shape} in the merge and {tensor.shape} in the base")


def _new_vocabulary(configuration: Mapping[str, Any]) -> bool:
    return "tokenizer" in configuration or "tokenizer_source" in configuration


def _alike(one: tuple[int, ...], other: tuple[int, ...], new_vocabulary: bool) -> bool:
    """Whether two shapes are the same, up to rows where the vocabularies are joined."""
    return one == other or (new_vocabulary and len(one) == len(other) and one[1:] == other[1:])


def _has_slices(modules: Mapping[str, Any] | None) -> bool:
    return any("slices" in module for module in (modules or {}).values())


def _distances(before: Mapping[Path, Any], base: Path, out: Path) -> dict[str, Metric]:
    """Of a merge of two checkpoints with the same tensors: how far it went from the base towards the other."""
    others = [folder for folder in before if folder != base]
    merged = checkpoint.tensors(out)
    if len(others) != 1 or any(_shapes(tensors) != _shapes(merged) for tensors in before.values()):
        return {}
    value = distance(out, base, others[0])
    return {"distance_from_base": Metric(value, "of the way")} if math.isfinite(value) else {}


def _shapes(tensors: Mapping[str, checkpoint.TensorFacts]) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _side_by_side(*folders: Path) -> Any:
    """The tensors of several checkpoints, one name at a time, so that memory holds one tensor of each."""
    from safetensors import safe_open

    facts = [checkpoint.tensors(folder) for folder in folders]
    for name in facts[0]:
        tensors = []
        for folder, known in zip(folders, facts, strict=True):
            with safe_open(folder / known[name].file, framework="pt") as file:
                tensors.append(file.get_tensor(name))
        yield tensors

"""A merge of checkpoints by mergekit, and the proof that every tensor of the base is in it.

The recipe's `mergekit:` mapping goes in as it stands; only references become folders. mergekit drops a module that its
configuration does not name without a word, and does not copy an image processor's newer files: both are mended here.
"""

import copy
import json
import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import checkpoint, options
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
_SHARD_PARAMETERS = 2_000_000_000


def run(spec: MergeSpec, ctx: StageContext) -> StageResult:
    """Merge into `ctx.out`.

    Raises RecipeError for a configuration that mergekit or `zoo.options` refuses, ModelError for an input that is not
    whole and for a merge that lacks a tensor of the base.
    """
    _refuse(spec.mergekit)
    folders = {place: folder for place, folder in ctx.inputs.items() if place.startswith("mergekit.")}
    before = {folder: checkpoint.tensors(folder) for folder in dict.fromkeys(folders.values())}
    base = folders["mergekit.base_model"]
    started = time.perf_counter()
    _merge(_with_folders(spec.mergekit, folders), ctx)
    seconds = time.perf_counter() - started
    _donate(base, ctx.out)
    checkpoint.dual_version(ctx.out)
    _compare(before[base], checkpoint.tensors(ctx.out), spec.mergekit)
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
    new_vocabulary = "tokenizer" in configuration or "tokenizer_source" in configuration
    for name, tensor in base.items():
        shape = merged[name].shape
        if (shape[1:], len(shape)) != (tensor.shape[1:], len(tensor.shape)) or (
            shape != tensor.shape and not new_vocabulary
        ):
            raise ModelError(f"{name} has the shape {shape} in the merge and {tensor.shape} in the base")


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

"""A checkpoint as GGUF, the file format of llama.cpp: language model in several types, vision tower, adapter.

Covered: the architectures of `zoo.formats.architectures`; f32, f16, bf16, q8_0 and llama.cpp's mixtures down to four
bits; an importance matrix from the recipe's own rows; the vision tower of Qwen2.5-VL; a LoRA adapter. Files are written
tensor by tensor and differ from those of llama.cpp's own converter and quantizer in metadata only.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from zoo.exports import grammar
from zoo.exports.gguf import adapter, vision
from zoo.exports.gguf.importance import Importance, measure, token_rows
from zoo.exports.gguf.labels import Labels
from zoo.exports.gguf.model import Options, convert
from zoo.formats import architectures
from zoo.formats.gguf_names import adapter_name, file_name
from zoo.records import Metric, StageContext, StageRecord, StageResult
from zoo.schema import GGUFSpec
from zoo.serving.torch_runtime import read_config

__all__ = ["Importance", "Labels", "Options", "convert", "file_name", "measure", "run", "token_rows"]

_NO_IMAGES = "The vision tower is not part of these files: they answer text, not images."
_IMAGES = "The vision tower is a file of its own, which llama.cpp takes beside the model (`--mmproj`)."


def run(spec: GGUFSpec, ctx: StageContext) -> StageResult:
    """Write one file per type into `ctx.out`, and the vision tower and the adapter where they are asked for.

    Raises ModelError for a checkpoint that cannot be read, ExportError for one that has no GGUF form.
    """
    model = ctx.inputs["model"]
    labels = Labels(spec.name, spec.license, _base_model(ctx.lineage.values()), grammar.text(spec.agent))
    options = Options(labels, spec.tensors, _importance(spec, ctx), spec.shard_bytes)
    rows = []
    for index, type_ in enumerate(spec.types):
        progress = partial(ctx.progress, file=file_name(type_), files=f"{index + 1}/{len(spec.types)}")
        rows.append(convert(model, ctx.out / file_name(type_), type_, progress, options))
    metrics = {f"{row['type']}.bytes": Metric(row["bytes"], "bytes") for row in rows}
    metrics |= {f"{row['type']}.bits_per_weight": Metric(row["bits_per_weight"], "bits") for row in rows}
    return StageResult(metrics, {"files": rows, **_beside(spec, ctx, labels)})


def _importance(spec: GGUFSpec, ctx: StageContext) -> Importance | None:
    if spec.imatrix is None:
        return None
    rows = token_rows(ctx.inputs["imatrix.rows"], ctx.inputs["model"], spec.imatrix.count, ctx.seed)
    return measure(ctx.inputs["model"], rows, ctx.device, ctx.progress)


def _beside(spec: GGUFSpec, ctx: StageContext, labels: Labels) -> dict[str, Any]:
    """The files beside the models, as notes."""
    notes: dict[str, Any] = {}
    model = ctx.inputs["model"]
    if named := grammar.write(ctx.out, spec.agent):
        notes["grammar"] = named
    labels = replace(labels, grammar="")
    if architectures.of(read_config(model)).multimodal:
        notes["images"] = _IMAGES if spec.mmproj else _NO_IMAGES
        if spec.mmproj:
            file = ctx.out / file_name(spec.mmproj, "mmproj")
            notes["mmproj"] = vision.convert(model, file, spec.mmproj, ctx.progress, labels)
    if spec.adapter:
        notes["adapter"] = adapter.convert(model, ctx.out / adapter_name(), ctx.progress, labels)
    return notes


def _base_model(lineage: Iterable[StageRecord]) -> str:
    """The repository that the first training stage started from, when exactly one is known."""
    resolved = {target for record in lineage for place, target in record.inputs.items() if place == "model"}
    repositories = {target.partition("@")[0] for target in resolved if "@" in target}
    return repositories.pop() if len(repositories) == 1 else ""

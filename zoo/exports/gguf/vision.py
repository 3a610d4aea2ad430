"""A Qwen2.5-VL checkpoint's vision tower as a GGUF file of its own, which llama.cpp takes as `--mmproj`.

llama.cpp reads 8 to 4096 tokens an image whatever the file says. The checkpoint's own limits are in the file, where
`zoo.serving` reads them, and in the record, to be given to llama.cpp as `--image-min-tokens` and `--image-max-tokens`.
"""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ExportError, ModelError
from zoo.exports.gguf.labels import Labels, add_labels
from zoo.exports.gguf.mixture import FILE_TYPES
from zoo.exports.gguf.model import described, tensor_data
from zoo.exports.gguf.writing import Tensor, write
from zoo.formats import vision, weights
from zoo.formats.vision import VisionTensor
from zoo.records import Progress, no_progress
from zoo.serving.torch_runtime import read_config

if TYPE_CHECKING:
    import gguf
    import numpy as np

__all__ = ["TYPES", "convert"]

TYPES = ("f32", "f16", "bf16", "q8_0")
_IMAGE_SIZE = 560  # as llama.cpp's converter: of the warm-up only, images keep their own size
_NORM_EPSILON = 1e-6  # transformers: Qwen2_5_VLVisionBlock, not in any config


def convert(
    checkpoint: Path, file: Path, type_: str, progress: Progress = no_progress, labels: Labels | None = None
) -> dict[str, Any]:
    """Write the vision tower, whole or not at all.

    Returns plain data for a record, with the checkpoint's limits of tokens an image.
    Raises ModelError for a checkpoint that cannot be read, ExportError for one without such a tower.
    """
    if type_ not in TYPES:
        raise ExportError(f"no mmproj type {type_!r} here; known: {', '.join(TYPES)}")
    config = read_config(checkpoint)
    tower = config.get("vision_config")
    if not isinstance(tower, dict) or "fullatt_block_indexes" not in tower:
        raise ExportError(f"{checkpoint}: no vision tower of Qwen2.5-VL; leave mmproj out")
    vision.supported(tower)
    images = _preprocessing(checkpoint)
    sources = list(vision.vision_tensors(weights.index(checkpoint), tower["depth"]))
    _check_complete(checkpoint, sources, tower["depth"])
    tensors = [_tensor(source, type_) for source in sources]
    describe = partial(_describe, type_=type_, config=config, images=images, labels=labels or Labels())
    files = write(file, "clip", describe, tensors, progress)
    side = tower["patch_size"] * tower.get("spatial_merge_size", 2)
    limits = {name: images[f"{name}_pixels"] // side**2 for name in ("min", "max") if images.get(f"{name}_pixels")}
    return described(files, type_) | {f"{name}_image_tokens": value for name, value in limits.items()}


def _preprocessing(checkpoint: Path) -> dict[str, Any]:
    file = checkpoint / "preprocessor_config.json"
    try:
        images = json.loads(file.read_text("utf-8"))
        size = images.get("size") or {}
        pixels = {"min_pixels": size.get("shortest_edge"), "max_pixels": size.get("longest_edge")}
        return {**pixels, **images, "image_mean": list(images["image_mean"]), "image_std": list(images["image_std"])}
    except FileNotFoundError as error:
        raise ModelError(f"{checkpoint}: no preprocessor_config.json; save the image processor beside it") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{file}: no image processor: {error!r}") from error


def _check_complete(checkpoint: Path, tensors: list[VisionTensor], depth: int) -> None:
    found = {tensor.name for tensor in tensors}
    block = {name.removeprefix("v.blk.0.") for name in found if name.startswith("v.blk.0.")}
    expected = {f"v.blk.{index}.{name}" for index in range(depth) for name in block}
    expected |= {"v.patch_embd.weight", "v.post_ln.weight", "mm.0.weight", "mm.2.weight"}
    if absent := sorted(expected - found):
        raise ModelError(f"{checkpoint}: the vision tower lacks {len(absent)} tensors, the first is {absent[0]}")


def _tensor(source: VisionTensor, type_: str) -> Tensor:
    kind = _type(source, type_)

    def data() -> "np.ndarray[Any, Any]":
        return tensor_data(source.load(), kind, f"{source.stored.file}: tensor {source.stored.name}")

    return Tensor(source.name, source.shape, kind, data)


def _type(source: VisionTensor, type_: str) -> str:
    """As llama.cpp's converter: patches are f16 in an f16 file and f32 in any other, their second frame always f32."""
    if len(source.shape) == 1 or not source.name.endswith(".weight"):
        return "F32"
    if "patch_embd" in source.name:
        return "F16" if type_ == "f16" else "F32"
    return "F16" if type_ == "q8_0" and source.shape[-1] % 32 else type_.upper()


def _describe(
    writer: "gguf.GGUFWriter", type_: str, config: dict[str, Any], images: dict[str, Any], labels: Labels
) -> None:
    import gguf

    tower, text = config["vision_config"], config.get("text_config") or config
    writer.add_type(gguf.GGUFType.MMPROJ)
    add_labels(writer, labels)
    writer.add_file_type(gguf.LlamaFileType[FILE_TYPES[type_]])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(gguf.VisionProjectorType.QWEN25VL)
    writer.add_vision_projection_dim(text["hidden_size"])
    writer.add_vision_image_size(tower.get("image_size", _IMAGE_SIZE))
    writer.add_vision_patch_size(tower["patch_size"])
    writer.add_vision_embedding_length(tower["hidden_size"])
    writer.add_vision_feed_forward_length(tower["intermediate_size"])
    writer.add_vision_block_count(tower["depth"])
    writer.add_vision_head_count(tower["num_heads"])
    writer.add_vision_image_mean(images["image_mean"])
    writer.add_vision_image_std(images["image_std"])
    for limit, add in (("min", writer.add_vision_min_pixels), ("max", writer.add_vision_max_pixels)):
        if images.get(f"{limit}_pixels"):
            add(images[f"{limit}_pixels"])
    writer.add_vision_use_silu(True)
    writer.add_vision_n_wa_pattern(vision.window_pattern(tower))
    writer.add_vision_attention_layernorm_eps(_NORM_EPSILON)

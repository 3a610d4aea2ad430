"""A LoRA adapter as a GGUF file of its own, which llama.cpp lays over the GGUF of the model that it was trained on.

Source: llama.cpp's `convert_lora_to_gguf.py`. llama.cpp scales each pair by alpha over its rank, so rank-stabilised
scaling is written into alpha. Not covered: DoRA, adapters on embeddings or on a vision tower, whole modules saved
beside the pairs, and a rank or alpha of its own for some layers: each is refused.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ExportError, ModelError
from zoo.exports.gguf.labels import Labels, add_labels
from zoo.exports.gguf.model import described, tensor_data
from zoo.exports.gguf.writing import Tensor, write
from zoo.formats import architectures, weights
from zoo.formats.weights import StoredTensor
from zoo.records import Progress, no_progress
from zoo.serving.torch_runtime import read_config
from zoo.trainers.loading import ADAPTER_FOLDER

if TYPE_CHECKING:
    import gguf

__all__ = ["convert"]

_REFUSED = {
    "use_dora": "DoRA", "modules_to_save": "whole modules beside the pairs", "rank_pattern": "several ranks",
    "alpha_pattern": "several alphas", "trainable_token_indices": "trained tokens",
}  # fmt: skip
_PAIR = {".lora_A.weight": ".lora_a", ".lora_B.weight": ".lora_b"}


def convert(
    checkpoint: Path, file: Path, progress: Progress = no_progress, labels: Labels | None = None
) -> dict[str, Any]:
    """Write the adapter in `adapter/` of a training stage's folder, in f16, whole or not at all.

    Returns plain data for a record. Raises ExportError when there is none, it has no GGUF form, or it belongs on
    another model than the checkpoint's.
    """
    from transformers import AutoConfig

    folder = checkpoint / ADAPTER_FOLDER
    settings = _settings(folder)
    architecture = architectures.of(read_config(checkpoint))
    text = AutoConfig.from_pretrained(checkpoint).get_text_config()
    stored = weights.tensors_of(folder / "adapter_model.safetensors")
    pairs = list(_tensors(stored, architecture, text))
    _check_base(stored, {architectures.language_name(one.name): one.shape for one in weights.index(checkpoint)})
    alpha = float(settings["lora_alpha"]) * (sqrt(settings["r"]) if settings.get("use_rslora") else 1.0)
    files = write(file, architecture.gguf, partial(_describe, alpha=alpha, labels=labels or Labels()), pairs, progress)
    return described(files, "f16") | {"rank": settings["r"], "alpha": alpha, "on": "the model that it was trained on"}


def _settings(folder: Path) -> dict[str, Any]:
    file = folder / "adapter_config.json"
    if not file.is_file():
        raise ExportError(f"{folder} holds no adapter; train with `lora`, or leave `adapter` out")
    try:
        settings: dict[str, Any] = json.loads(file.read_text("utf-8"))
        kind = settings.get("peft_type"), settings.get("bias", "none"), settings["r"], settings["lora_alpha"]
    except (ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{file}: no adapter's settings: {error!r}") from error
    if kind[:2] != ("LORA", "none"):
        raise ExportError(f"{file}: llama.cpp reads LoRA without biases, this is {kind[0]} with bias {kind[1]!r}")
    if wrong := [what for key, what in _REFUSED.items() if settings.get(key)]:
        raise ExportError(f"{file}: llama.cpp has no place for {', '.join(wrong)}; use the merged model instead")
    return settings


def _tensors(stored: list[StoredTensor], architecture: architectures.Architecture, text: Any) -> Iterator[Tensor]:
    for tensor in stored:
        suffix = next((one for one in _PAIR if tensor.name.endswith(one)), None)
        base = tensor.name.removeprefix("base_model.model.")
        source = suffix and architectures.language_tensor(tensor, base.replace(suffix, ".weight"), architecture, text)
        if not suffix or not source:
            raise ExportError(f"{tensor.file}: llama.cpp has no place for {tensor.name}; use the merged model instead")
        # The rows of B are the layer's; A has the adapter's own, whose order is nobody's business.
        load = source.load if suffix == ".lora_B.weight" else tensor.load
        where = f"{tensor.file}: tensor {tensor.name}"

        def data(load: Any = load, where: str = where) -> Any:
            return tensor_data(load(), "F16", where)

        yield Tensor(source.name + _PAIR[suffix], tensor.shape, "F16", data)


def _check_base(stored: list[StoredTensor], shapes: Mapping[str | None, tuple[int, ...]]) -> None:
    """The pairs fit the layers that they lie over; what was trained on another model of the same sizes is not seen."""
    for tensor in stored:
        suffix = next(one for one in _PAIR if tensor.name.endswith(one))
        layer = tensor.name.removeprefix("base_model.model.").replace(suffix, ".weight")
        shape = shapes.get(architectures.language_name(layer))
        outer = 0 if suffix == ".lora_B.weight" else 1
        if shape is None or tensor.shape[outer] != shape[outer]:
            raise ExportError(
                f"{tensor.file}: {tensor.name} has the shape {tensor.shape}, the model's {layer} "
                f"{shape or 'does not exist'}: the adapter was trained on another base; export it with its own"
            )


def _describe(writer: "gguf.GGUFWriter", alpha: float, labels: Labels) -> None:
    import gguf

    writer.add_type(gguf.GGUFType.ADAPTER)
    add_labels(writer, labels)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)

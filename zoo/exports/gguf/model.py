"""A checkpoint's language model as one GGUF file, or as several where it is split.

Covered: the language models of `zoo.formats.architectures`, in the types of `mixture`. A tensor whose rows do not
divide into a type's blocks falls back as in llama.cpp; one-dimensional tensors stay f32.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ExportError, ModelError
from zoo.exports import vocabulary
from zoo.exports.gguf import mixture, quantizer
from zoo.exports.gguf.importance import Importance
from zoo.exports.gguf.labels import Labels, add_labels, add_sampling
from zoo.exports.gguf.writing import Tensor, write
from zoo.formats import architectures, gguf_header, network, weights
from zoo.formats.architectures import Architecture, LanguageTensor
from zoo.records import Progress, no_progress
from zoo.serving.torch_runtime import read_config

if TYPE_CHECKING:
    import gguf
    import numpy as np

__all__ = ["Options", "convert", "described", "tensor_data"]


_BLOCK_VALUES = 2**22
"""Values of a large tensor that are in memory in float32 at a time: 16 MiB of them."""


@dataclass(frozen=True)
class Options:
    """What may be wished of a file besides its type."""

    labels: Labels = field(default_factory=Labels)
    tensors: Mapping[str, str] = field(default_factory=dict)
    """Pattern of tensor names -> type, for files of quantized types; the first that fits counts."""
    importance: Importance | None = None
    shard_bytes: int | None = None


def convert(
    checkpoint: Path, file: Path, type_: str, progress: Progress = no_progress, options: Options | None = None
) -> dict[str, Any]:
    """Write a checkpoint folder as GGUF, whole or not at all. Memory: the tokenizer and the largest tensor as it is
    written.

    Returns plain data for a record: file, type, bytes, true bits per weight, tensors by type.
    Raises ModelError for a checkpoint that cannot be read, ExportError for one that has no GGUF form or no room.
    """
    options = options or Options()
    plan = _plan(checkpoint, type_, options)
    words = vocabulary.read(checkpoint, plan.text.vocab_size)

    def describe(writer: "gguf.GGUFWriter") -> None:
        _add_description(writer, plan, options)
        add_sampling(writer, checkpoint)
        _add_sizes(writer, plan)
        _add_vocabulary(writer, words)

    files = write(file, plan.architecture.gguf, describe, plan.tensors, progress, options.shard_bytes)
    return described(files, type_) | (
        {"imatrix": options.importance.facts} if plan.guided and options.importance else {}
    )


def described(files: list[Path], type_: str) -> dict[str, Any]:
    """A model of one or several files as plain data."""
    header = gguf_header.read(files[0])
    return {
        "file": files[0].name,
        "type": type_,
        "bytes": sum(one.stat().st_size for one in files),
        "bits_per_weight": round(header.bits_per_weight, 3),
        "parameters": header.parameters,
        "tensor_types": header.types,
        **({"shards": len(files)} if len(files) > 1 else {}),
    }


@dataclass(frozen=True)
class _Plan:
    """What will be written, known from headers alone."""

    architecture: Architecture
    text: Any
    """transformers' config of the language model, its defaults filled in."""
    type: str
    tensors: tuple[Tensor, ...]
    guided: bool
    """Whether the importance matrix changes any of them."""


def _plan(checkpoint: Path, type_: str, options: Options) -> _Plan:
    from transformers import AutoConfig

    if type_ not in mixture.FILE_TYPES:
        raise ExportError(f"no GGUF type {type_!r} here; known: {', '.join(mixture.FILE_TYPES)}")
    raw = read_config(checkpoint)
    network.supported(raw)
    architecture = architectures.of(raw)
    config = AutoConfig.from_pretrained(checkpoint)
    text, tied = config.get_text_config(), bool(config.tie_word_embeddings)
    sources = tuple(architectures.language_tensors(weights.index(checkpoint), architecture, text, tied))
    _check_complete(checkpoint, sources, text, tied)
    shapes = {source.name: source.stored.shape for source in sources}
    mixture.check_patterns(options.tensors, shapes)
    types = mixture.tensor_types(
        shapes, type_, options.tensors, layers=text.num_hidden_layers, guided=options.importance is not None
    )
    known = options.importance.columns if options.importance else {}
    tensors = tuple(_tensor(source, types[source.name], known.get(source.name)) for source in sources)
    guided = any(tensor.name in known and tensor.type in quantizer.GUIDED for tensor in tensors)
    return _Plan(architecture, text, type_, tensors, guided)


def _tensor(source: LanguageTensor, type_: str, importance: "np.ndarray[Any, Any] | None") -> Tensor:
    data = partial(_data, source, type_, importance)
    return Tensor(source.name, source.stored.shape, type_, data)


def _check_complete(checkpoint: Path, tensors: tuple[LanguageTensor, ...], text: Any, tied: bool) -> None:
    """Every block has what the first one has, and the ends are there; llama.cpp would say it less clearly."""
    found = {tensor.name: tensor for tensor in tensors}
    block = {name.removeprefix("blk.0.") for name in found if name.startswith("blk.0.")}
    expected = {f"blk.{index}.{name}" for index in range(text.num_hidden_layers) for name in block}
    expected |= {"token_embd.weight", "output_norm.weight"} | (set() if tied else {"output.weight"})
    if absent := sorted(expected - found.keys()):
        raise ModelError(f"{checkpoint}: the checkpoint lacks {len(absent)} tensors, the first is {absent[0]}")
    rows = found["token_embd.weight"].stored.shape[0]
    if rows != text.vocab_size:
        raise ModelError(f"{checkpoint}: config.json says {text.vocab_size} tokens, the embedding has {rows} rows")


def _data(
    source: LanguageTensor, type_: str, importance: "np.ndarray[Any, Any] | None" = None
) -> "np.ndarray[Any, Any]":
    """The bytes of one tensor. A large one is read a block of rows at a time: types know nothing beyond a row."""
    import numpy as np

    where = f"{source.stored.file}: tensor {source.stored.name}"
    shape = source.stored.shape
    block = max(1, _BLOCK_VALUES // prod(shape[1:]))
    if source.heads or len(shape) == 1 or shape[0] <= block:
        return tensor_data(source.load(), type_, where, importance)
    data: np.ndarray[Any, Any] | None = None
    for first in range(0, shape[0], block):
        values = source.stored.load(first, min(block, shape[0] - first))
        part = tensor_data(values, type_, where, importance)
        data = np.empty((shape[0], *part.shape[1:]), part.dtype) if data is None else data
        data[first : first + len(part)] = part
    assert data is not None
    return data


def tensor_data(
    values: "np.ndarray[Any, Any]", type_: str, where: str, importance: "np.ndarray[Any, Any] | None" = None
) -> "np.ndarray[Any, Any]":
    """The bytes of one tensor in a type. Raises ExportError, with `where`, for values beyond float16."""
    import numpy as np

    data = quantizer.quantize(values, type_, importance)
    if type_ == "F16" and not np.isfinite(data).all():
        raise ExportError(f"{where} reaches {np.abs(values).max():.3g}, beyond float16; export bf16 or f32 instead")
    return data


def _add_description(writer: "gguf.GGUFWriter", plan: _Plan, options: Options) -> None:
    import gguf
    from gguf.utility import size_label

    parameters = sum(prod(tensor.shape) for tensor in plan.tensors)
    writer.add_type(gguf.GGUFType.MODEL)
    add_labels(writer, options.labels)
    writer.add_size_label(size_label(parameters, 0, 0, 0))
    writer.add_file_type(gguf.LlamaFileType[mixture.FILE_TYPES[plan.type]])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    if plan.guided and options.importance:
        # llama.cpp's own keys, as llama-quantize writes them
        writer.add_string("quantize.imatrix.dataset", f"{options.importance.rows} of the agent's own prompts")
        writer.add_uint32("quantize.imatrix.entries_count", len(options.importance.columns))
        writer.add_uint32("quantize.imatrix.chunks_count", options.importance.rows)


def _add_sizes(writer: "gguf.GGUFWriter", plan: _Plan) -> None:
    for key, value in network.sizes(plan.architecture, plan.text).items():
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_uint32(key, value)


def _add_vocabulary(writer: "gguf.GGUFWriter", words: vocabulary.Vocabulary) -> None:
    writer.add_tokenizer_model(words.model)
    writer.add_tokenizer_pre(words.pre_tokenizer)
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.types)
    if words.merges:
        writer.add_token_merges(words.merges)
    if words.scores:
        writer.add_token_scores(words.scores)
    for name, token in words.special.items():
        getattr(writer, f"add_{name}_token_id")(token)
    writer.add_add_bos_token(words.adds_bos)
    writer.add_add_eos_token(words.adds_eos)
    writer.add_add_space_prefix(False)
    if words.chat_template:
        writer.add_chat_template(words.chat_template)

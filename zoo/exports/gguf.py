"""A checkpoint as GGUF, the file format of llama.cpp.

Covered: the language models of `zoo.formats.architectures`, in f32, f16, bf16 and q8_0. Not covered: the vision tower
of a vision-language model (its language model is exported, and the record says so), K-quants, LoRA adapters.

A tensor whose rows are no multiple of 32 values cannot be q8_0 and is written as f16; one-dimensional tensors stay f32.
Both as llama.cpp's own converter does, whose files differ from these in metadata only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ExportError, ModelError
from zoo.exports import vocabulary
from zoo.formats import architectures, gguf_header, weights
from zoo.formats.architectures import Architecture, LanguageTensor
from zoo.records import Metric, Progress, StageContext, StageRecord, StageResult, no_progress
from zoo.schema import GGUFSpec
from zoo.serving.torch_runtime import read_config

if TYPE_CHECKING:
    import gguf
    import numpy as np

__all__ = ["convert", "file_name", "run"]

_FILE_TYPES = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
_NO_IMAGES = "The vision tower is not part of these files: they answer text, not images."


def run(spec: GGUFSpec, ctx: StageContext) -> StageResult:
    """Write one file per type into `ctx.out`.

    Raises ModelError for a checkpoint that cannot be read, ExportError for one that has no GGUF form.
    """
    base = _base_model(ctx.lineage.values())
    rows = []
    for index, type_ in enumerate(spec.types):
        progress = partial(ctx.progress, file=file_name(type_), files=f"{index + 1}/{len(spec.types)}")
        rows.append(convert(ctx.inputs["model"], ctx.out / file_name(type_), type_, progress, base))
    metrics = {f"{row['type']}.bytes": Metric(row["bytes"], "bytes") for row in rows}
    metrics |= {f"{row['type']}.bits_per_weight": Metric(row["bits_per_weight"], "bits") for row in rows}
    multimodal = architectures.of(read_config(ctx.inputs["model"])).multimodal
    return StageResult(metrics, {"files": rows, **({"images": _NO_IMAGES} if multimodal else {})})


def file_name(type_: str) -> str:
    """The name of a file inside the stage; `publish` puts the model's name in front.

    >>> file_name("q8_0")
    'model-Q8_0.gguf'
    """
    return f"model-{type_.upper()}.gguf"


def convert(
    checkpoint: Path, file: Path, type_: str, progress: Progress = no_progress, base_model: str = ""
) -> dict[str, Any]:
    """Write a checkpoint folder as one GGUF file, whole or not at all.

    `type_` is `f32`, `f16`, `bf16` or `q8_0`; `base_model` (`owner/name`) is noted in the file. Memory: the tokenizer
    and three copies of the largest tensor.

    Returns plain data for a record: file, type, bytes, true bits per weight, tensors by type.
    Raises ModelError and ExportError as `run`.
    """
    plan = _plan(checkpoint, type_)
    words = vocabulary.read(checkpoint, plan.text.vocab_size)
    part = file.with_name(file.name + ".part")
    try:
        _write(plan, words, part, progress, base_model)
        part.replace(file)
    except OSError as error:
        raise ExportError(f"{file}: cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    header = gguf_header.read(file)
    return {
        "file": file.name,
        "type": type_,
        "bytes": file.stat().st_size,
        "bits_per_weight": round(header.bits_per_weight, 3),
        "parameters": header.parameters,
        "tensor_types": header.types,
    }


@dataclass(frozen=True)
class _Tensor:
    """One tensor of the file to be written."""

    source: LanguageTensor
    type: "gguf.GGMLQuantizationType"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.stored.shape


@dataclass(frozen=True)
class _Plan:
    """What will be written, known from headers alone."""

    architecture: Architecture
    text: Any
    """transformers' config of the language model, its defaults filled in."""
    type: str
    tensors: tuple[_Tensor, ...]


def _plan(checkpoint: Path, type_: str) -> _Plan:
    from transformers import AutoConfig

    if type_ not in _FILE_TYPES:
        raise ExportError(f"no GGUF type {type_!r} here; known: {', '.join(_FILE_TYPES)}")
    raw = read_config(checkpoint)
    architectures.supported(raw)
    architecture = architectures.of(raw)
    config = AutoConfig.from_pretrained(checkpoint)
    text, tied = config.get_text_config(), bool(config.tie_word_embeddings)
    sources = tuple(architectures.language_tensors(weights.index(checkpoint), architecture, text, tied))
    _check_complete(checkpoint, sources, text, tied)
    tensors = tuple(_Tensor(source, _tensor_type(source.stored.shape, type_)) for source in sources)
    return _Plan(architecture, text, type_, tensors)


def _tensor_type(shape: tuple[int, ...], type_: str) -> "gguf.GGMLQuantizationType":
    import gguf

    wanted = gguf.GGMLQuantizationType[type_.upper()]
    block, _ = gguf.GGML_QUANT_SIZES[wanted]
    if len(shape) == 1:
        return gguf.GGMLQuantizationType.F32
    return wanted if shape[-1] % block == 0 else gguf.GGMLQuantizationType.F16


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


def _write(plan: _Plan, words: vocabulary.Vocabulary, part: Path, progress: Progress, base_model: str) -> None:
    import gguf

    writer = gguf.GGUFWriter(part, plan.architecture.gguf)
    try:
        _add_description(writer, plan, base_model)
        _add_sizes(writer, plan)
        _add_vocabulary(writer, words)
        for tensor in plan.tensors:
            _add_tensor_info(writer, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for index, tensor in enumerate(plan.tensors):
            writer.write_tensor_data(_data(tensor))
            progress(index + 1, len(plan.tensors), tensor=tensor.source.name)
    finally:
        writer.close()


def _add_description(writer: "gguf.GGUFWriter", plan: _Plan, base_model: str) -> None:
    import gguf
    from gguf.utility import size_label

    parameters = sum(prod(tensor.shape) for tensor in plan.tensors)
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_size_label(size_label(parameters, 0, 0, 0))
    writer.add_file_type(gguf.LlamaFileType[_FILE_TYPES[plan.type]])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    if base_model:
        owner, _, name = base_model.partition("/")
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, name)
        writer.add_base_model_organization(0, owner)


def _add_sizes(writer: "gguf.GGUFWriter", plan: _Plan) -> None:
    for key, value in architectures.sizes(plan.architecture, plan.text).items():
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value)


def _add_vocabulary(writer: "gguf.GGUFWriter", words: vocabulary.Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(words.pre_tokenizer)
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.types)
    writer.add_token_merges(words.merges)
    for name, token in words.special.items():
        getattr(writer, f"add_{name}_token_id")(token)
    writer.add_add_bos_token(words.adds_bos)
    writer.add_add_eos_token(words.adds_eos)
    writer.add_add_space_prefix(False)
    if words.chat_template:
        writer.add_chat_template(words.chat_template)


def _add_tensor_info(writer: "gguf.GGUFWriter", tensor: _Tensor) -> None:
    import gguf
    import numpy as np

    block, block_bytes = gguf.GGML_QUANT_SIZES[tensor.type]
    size = prod(tensor.shape) // block * block_bytes
    writer.add_tensor_info(tensor.source.name, tensor.shape, np.dtype(np.float32), size, tensor.type)


def _data(tensor: _Tensor) -> "np.ndarray[Any, Any]":
    """The bytes of one tensor in the type of the file."""
    import gguf
    import numpy as np

    values = np.ascontiguousarray(tensor.source.load())
    with np.errstate(over="ignore"):
        data: np.ndarray[Any, Any] = gguf.quants.quantize(values, tensor.type)
    if tensor.type == gguf.GGMLQuantizationType.F16 and not np.isfinite(data).all():
        raise ExportError(
            f"{tensor.source.stored.file}: tensor {tensor.source.stored.name} reaches {np.abs(values).max():.3g}, "
            "beyond float16; export bf16 or f32 instead"
        )
    return data


def _base_model(lineage: Iterable[StageRecord]) -> str:
    """The repository that the first training stage started from, when exactly one is known."""
    resolved = {target for record in lineage for place, target in record.inputs.items() if place == "model"}
    repositories = {target.partition("@")[0] for target in resolved if "@" in target}
    return repositories.pop() if len(repositories) == 1 else ""

"""A traced graph in the layout that Hub users expect, and the small files beside it.

What the runtimes ask for (each by a test): inputs `past_key_values.N.key` and outputs `present.N.key`, the sizes of the
cache as numbers (transformers.js takes any other name than `batch_size` for 0), weights beyond 2 GB in
`<graph>_data`, the chat template inside `tokenizer_config.json` (transformers.js reads it nowhere else), and a
`config.json` that transformers 4 reads too.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import checkpoint as checkpoints
from zoo.errors import ExportError, ModelError
from zoo.formats import onnx_files

if TYPE_CHECKING:
    import onnx_ir

__all__ = ["INLINE_BYTES", "check_tokenizer_files", "repair", "save", "write_descriptions", "write_tokenizer"]

INLINE_BYTES = 1_800_000_000
"""Weights beyond this lie in a file of their own: a protobuf ends at 2 GB."""

_PAST = re.compile(r"(?:input\.)?past_key_values\.layers\.(\d+)\.(key|value)s$")
_PRESENT = re.compile(r"output\.past_key_values\.layers\.(\d+)\.(key|value)s$")
_TOTAL = "past_sequence_length + sequence_length"

_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "chat_template.jinja", "generation_config.json",
)  # fmt: skip
_TEXT_ONLY = {"qwen2_5_vl": {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}}
"""What the language model of a vision-language model is by itself. With text, the three rotary axes of Qwen2.5-VL are
one, and it computes what Qwen2 computes."""


def repair(model: "onnx_ir.Model", text: Any) -> None:
    """Give a traced graph the Hub's names and sizes, in place. `text` is transformers' config of the language model.

    Raises ExportError when the graph's sizes are not the model's.
    """
    import onnx_ir

    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    cached = (text.num_key_value_heads, head)
    shapes = {
        "input_ids": ["batch_size", "sequence_length"],
        "position_ids": ["batch_size", "sequence_length"],
        "attention_mask": ["batch_size", _TOTAL],
        "logits": ["batch_size", "sequence_length", text.vocab_size],
        "past_key_values": ["batch_size", cached[0], "past_sequence_length", cached[1]],
        "present": ["batch_size", cached[0], _TOTAL, cached[1]],
    }
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.name = _hub_name(str(value.name))
        wanted = shapes[value.name.partition(".")[0]]
        _check_sizes(value, wanted)
        value.shape = onnx_ir.Shape(wanted)
    for value in _inner_values(model):
        # Their shapes speak in the tracer's symbols, which no longer mean anything; shape inference finds them again.
        if value.shape is not None and not value.shape.is_static():
            value.shape = None
    _forget_sources(model)
    model.graph.name = "decoder"
    model.producer_name, model.producer_version, model.doc_string = "edgezoo", "", ""


def save(model: "onnx_ir.Model", graph: Path, inline_bytes: int = INLINE_BYTES) -> None:
    """Write a graph and, beyond `inline_bytes` of weights, its data file: both, or nothing.

    Raises ExportError when they cannot be written.
    """
    import onnx_ir

    weights = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value)
    data = onnx_files.data_file(graph).name if weights > inline_bytes else None
    try:
        graph.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=graph.parent, prefix=".part-") as part:
            if data is None:
                onnx_ir.external_data.load_to_model(model)
            onnx_ir.save(model, Path(part) / graph.name, external_data=data)
            # The data first: a graph that is there is whole. An earlier graph goes before its data do, and data that
            # no graph asks for any more would make transformers.js and the size on a card wrong.
            graph.unlink(missing_ok=True)
            for file in sorted(Path(part).iterdir(), reverse=True):
                file.replace(graph.parent / file.name)
            if data is None:
                onnx_files.data_file(graph).unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"{graph}: cannot be written: {error}") from error


def write_descriptions(checkpoint: Path, export: Path) -> None:
    """Put config, tokenizer, template and generation settings beside `onnx/`, as transformers.js, optimum and both
    generations of transformers read them. To be called again whenever a graph was added. What lies there already is
    replaced when all is written.

    Raises ModelError when the checkpoint lacks its tokenizer.
    """
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    with tempfile.TemporaryDirectory(dir=export, prefix=".part-") as part:
        folder = Path(part)
        write_tokenizer(checkpoint, folder)
        _write_json(folder / "config.json", _text_only(config) | {"transformers.js_config": _browser_settings(export)})
        checkpoints.dual_version(folder)
        for file in sorted(folder.iterdir()):
            file.replace(export / file.name)


def write_tokenizer(checkpoint: Path, folder: Path) -> None:
    """Copy a checkpoint's tokenizer and generation settings, the template also into `tokenizer_config.json`.

    Raises ModelError when the checkpoint lacks its tokenizer.
    """
    check_tokenizer_files(checkpoint)
    for name in _TOKENIZER:
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, folder / name)
    template = folder / "chat_template.jinja"
    if template.is_file():
        settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        _write_json(folder / "tokenizer_config.json", settings | {"chat_template": template.read_text("utf-8")})
    checkpoints.dual_version(folder)


def check_tokenizer_files(checkpoint: Path) -> None:
    """Raises ModelError when a file is missing that every reader asks for."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if not (checkpoint / name).is_file():
            raise ModelError(f"{checkpoint}: no {name}; save the tokenizer beside the weights")


def _hub_name(name: str) -> str:
    if match := _PAST.match(name):
        return f"past_key_values.{match[1]}.{match[2]}"
    if match := _PRESENT.match(name):
        return f"present.{match[1]}.{match[2]}"
    return name


def _check_sizes(value: "onnx_ir.Value", wanted: list[Any]) -> None:
    found = list(value.shape or ())
    fixed = [(ours, theirs) for ours, theirs in zip(wanted, found, strict=False) if isinstance(ours, int)]
    free = [theirs for ours, theirs in zip(wanted, found, strict=False) if isinstance(ours, str)]
    wrong = any(str(ours) != str(theirs) for ours, theirs in fixed) or any(isinstance(one, int) for one in free)
    if len(found) != len(wanted) or wrong:
        raise ExportError(f"the traced graph's {value.name} has the shape {found}, the model asks for {wanted}")


def _inner_values(model: "onnx_ir.Model") -> "list[onnx_ir.Value]":
    outside = {id(value) for value in (*model.graph.inputs, *model.graph.outputs)}
    return [value for node in model.graph.all_nodes() for value in node.outputs if id(value) not in outside]


def _forget_sources(model: "onnx_ir.Model") -> None:
    """The tracers note the source line of every node, with the folders of the machine that traced it."""
    model.metadata_props.clear()
    for graph in model.graphs():
        graph.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()


def _text_only(config: dict[str, Any]) -> dict[str, Any]:
    """The config of what is exported: of a vision-language model, its language model."""
    if not isinstance(config.get("text_config"), dict):
        return config
    ends = {key: config[key] for key in ("tie_word_embeddings", "dtype", "torch_dtype") if key in config}
    return {**config["text_config"], **ends, **_TEXT_ONLY.get(config["model_type"], {})}


def _browser_settings(export: Path) -> dict[str, Any]:
    graphs = [graph for graph in onnx_files.find(export).values() if not onnx_files.is_genai(graph)]
    split = {graph.name: 1 for graph in graphs if onnx_files.data_file(graph).is_file()}
    return {
        **({"use_external_data_format": split} if split else {}),
        "kv_cache_dtype": {"fp16": "float16"},
    }


def _write_json(file: Path, data: dict[str, Any]) -> None:
    file.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", "utf-8")

"""Does an ONNX export say the same as the checkpoint: tokens, template, stops, names and sizes, cache, padding, data.

Like `gguf_structure`, these checks name causes: a cache whose sizes are names makes transformers.js answer nonsense, a
lost attention mask makes every padded batch wrong, and neither shows in the logits of one row.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo.formats import onnx_files
from zoo.serving import Chat, GenaiRuntime, OnnxRuntime, TorchRuntime
from zoo.verify import onnx_ways, onnx_weights
from zoo.verify.check import Check
from zoo.verify.reading import CHATS, reading_checks

__all__ = ["checks", "data_present"]


def checks(
    reference: TorchRuntime, candidate: OnnxRuntime | GenaiRuntime, chats: Sequence[Chat] = ()
) -> Iterator[Check]:
    """Every structural check of a graph against its checkpoint, one after the other.

    `chats` are rendered and tokenized by both besides the built-in ones.
    """
    graph = _graph(candidate)
    yield data_present(graph)
    interface = _interface(reference, graph)
    yield interface
    yield _vocabulary(reference, candidate)
    yield from reading_checks(reference, candidate, (*CHATS, *chats))
    yield _stops(reference, candidate)
    yield from onnx_weights.checks(reference, graph)
    if interface.passed and candidate.vocabulary_size == _rows(reference):
        yield from onnx_ways.checks(reference, candidate, graph)


def data_present(graph: Path) -> Check:
    """Every weight that a graph keeps outside itself lies in a file beside it that is long enough."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(graph), load_external_data=False)
    except DecodeError as error:
        return Check("external data", False, f"{graph.name} is no whole graph: {error}")
    needed: dict[str, int] = {}
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            place = {entry.key: entry.value for entry in tensor.external_data}
            end = int(place.get("offset", 0)) + int(place.get("length", 0))
            needed[place["location"]] = max(needed.get(place["location"], 0), end)
    for name, size in needed.items():
        file = graph.parent / name
        if not file.is_file():
            return Check("external data", False, f"{graph.name} keeps its weights in {name}, which is not beside it")
        if file.stat().st_size < size:
            return Check("external data", False, f"{name} has {file.stat().st_size} bytes, the graph asks for {size}")
    expected = {onnx_files.data_file(graph).name}
    if needed and not onnx_files.is_genai(graph) and needed.keys() != expected:
        return Check("external data", False, f"the weights lie in {', '.join(needed)}; browsers ask for {expected}")
    return Check("external data", True, ", ".join(needed) or "inside the graph")


def _graph(candidate: OnnxRuntime | GenaiRuntime) -> Path:
    return candidate.file if isinstance(candidate, OnnxRuntime) else candidate.file / "model.onnx"


def _interface(reference: TorchRuntime, graph: Path) -> Check:
    """Inputs and outputs under the names that consumers know, a cache of the model's own layers and sizes."""
    import onnx

    text = reference.model.config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    model = onnx.load(str(graph), load_external_data=False).graph
    values = {value.name: _shape(value) for value in (*model.input, *model.output)}
    layers = range(text.num_hidden_layers)
    caches = [
        f"{side}.{layer}.{part}" for side in ("past_key_values", "present") for layer in layers for part in _PARTS
    ]
    expected = {"input_ids", "attention_mask", "logits", *caches}
    if wrong := sorted(expected ^ (values.keys() - {"position_ids"})):
        return Check("interface", False, f"only in one of graph and model: {', '.join(wrong[:4])}")
    wanted = (text.num_key_value_heads, head)
    for name in caches:
        if (values[name][1], values[name][3]) != wanted:
            return Check("interface", False, f"{name} has the sizes {values[name]}, of which two should be {wanted}")
    if any(isinstance(values[name][0], int) for name in values):
        return Check("interface", False, "the number of rows is fixed: it was traced with one row")
    return Check("interface", True, f"{len(values)} names, {len(layers)} layers of {wanted[0]} x {wanted[1]}")


_PARTS = ("key", "value")


def _shape(value: Any) -> list[int | str]:
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in value.type.tensor_type.shape.dim]


def _rows(reference: TorchRuntime) -> int:
    return int(reference.model.config.get_text_config().vocab_size)


def _vocabulary(reference: TorchRuntime, candidate: OnnxRuntime | GenaiRuntime) -> Check:
    if candidate.vocabulary_size != _rows(reference):
        detail = f"the graph scores {candidate.vocabulary_size} tokens, the checkpoint {_rows(reference)}"
        return Check("vocabulary", False, detail)
    ours, theirs = reference.tokenizer.get_vocab(), candidate.tokenizer.vocabulary()
    moved = [token for token in ours if theirs.get(token) != ours[token]]
    if moved:
        first = moved[0]
        detail = f"{len(moved)} tokens differ; {first!r} is {theirs.get(first)}, in the checkpoint {ours[first]}"
        return Check("vocabulary", False, detail)
    return Check("vocabulary", True, f"{len(ours)} tokens")


def _stops(reference: TorchRuntime, candidate: OnnxRuntime | GenaiRuntime) -> Check:
    ours, theirs = sorted(reference.stop_ids), sorted(candidate.stop_ids)
    if ours != theirs:
        return Check("stop tokens", False, f"an answer ends at {theirs}, with the checkpoint at {ours}")
    return Check("stop tokens", True, f"{len(ours)} tokens")

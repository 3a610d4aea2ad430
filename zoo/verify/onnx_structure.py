"""Does an ONNX export say the same as the checkpoint: tokens, template, stops, names and sizes, cache, padding, data.

Like `gguf_structure`, these checks name causes: a cache whose sizes are names makes transformers.js answer nonsense, a lost
attention mask makes every padded batch wrong, and neither shows in the logits of one row.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.formats import onnx_files
from zoo.serving import Chat, GenaiRuntime, OnnxRuntime, TorchRuntime
from zoo.verify.check import Check
from zoo.verify.reading import CHATS, CORPUS, reading_checks

if TYPE_CHECKING:
    import numpy as np

__all__ = ["checks", "data_present"]

# The largest difference of one logit between two ways through the same graph. They add in another order; a way that is
# wrong is off by whole units.
_SAME_LOGITS = {"float32": 1e-3, "float16": 0.25}
_PREFIX, _STEPS, _ROW = 6, 4, 32
_LONG = max(CORPUS, key=len)


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
    # Not a chat: a checkpoint may have no template
    ids = reference.encode(_LONG)[:_ROW]
    if interface.passed and candidate.vocabulary_size == _rows(reference):
        yield _cache(candidate, ids)
        if isinstance(candidate, OnnxRuntime):
            yield _left_padding(candidate, ids)


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


def _cache(candidate: OnnxRuntime | GenaiRuntime, ids: list[int]) -> Check:
    """A few tokens fed one by one give the logits that they give all at once."""
    end = min(_PREFIX + _STEPS, len(ids))
    whole = candidate.logits(ids[:end], _PREFIX)
    candidate.keep(0)
    candidate.feed(ids[:_PREFIX], 1)
    steps = [candidate.feed([token], 1)[0] for token in ids[_PREFIX:end]]
    return _alike("cache", whole, steps, _tolerance(candidate), "step by step")


def _left_padding(candidate: OnnxRuntime, ids: list[int]) -> Check:
    """A row that is padded on the left beside a longer one gives what it gives alone."""
    short = ids[:_PREFIX]
    alone = candidate.logits(short)
    _, padded = candidate.padded_logits([ids, short])
    return _alike("left padding", alone, list(padded), _tolerance(candidate), "padded on the left")


def _alike(
    name: str, expected: "np.ndarray[Any, Any]", found: "list[np.ndarray[Any, Any]]", tolerance: float, how: str
) -> Check:
    import numpy as np

    largest = max(
        float(np.abs(ours - theirs.astype(np.float32)).max()) for ours, theirs in zip(expected, found, strict=True)
    )
    # Written so that a NaN is a difference.
    if not largest <= tolerance:
        return Check(name, False, f"logits differ by {largest:.3g} {how}, at most {tolerance:g} is rounding")
    return Check(name, True, f"logits differ by {largest:.1g} at most")


def _tolerance(candidate: OnnxRuntime | GenaiRuntime) -> float:
    return _SAME_LOGITS[candidate.number_type]

"""Two ways through one graph come to the same: a prompt at once, token by token, padded on the left of a batch.

A graph of floating-point operators adds in another order and agrees to a small part of a logit. A graph whose products
round their activations to 8 bits does not (`accuracy_level` 4 of MatMulNBits: our int8 and int4, GenAI's; dynamic
quantization). Measured on a fine-tuned SmolLM2-135M: the integer kernels give a row bit for bit what it has among
others, but rounding is a step, behind which a difference of 1e-6 (attention over one row adds in another order) is up
to 3e-4, and thirty layers make of it 0.9 of a logit, 5e-3 nats and 3 % of a layer's cache. Level 0 or 1 agrees to 1e-4
of a logit and takes 14 to 23 times as long for a token (`benchmarks/exports/rounding.py` prints this). So the rounding
stays, and what it cannot explain is refused: more nats between the ways than the gate of 8 bits allows, or a layer
whose cache is off by more than a fifth. A past that is missing, or another layer's, is off by 80 % and more there.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.metrics import divergence
from zoo.serving import GenaiRuntime, OnnxRuntime, TorchRuntime
from zoo.verify.check import Check
from zoo.verify.gates import default_gate
from zoo.verify.reading import CORPUS

if TYPE_CHECKING:
    import numpy as np

    Way = tuple[Sequence[np.ndarray[Any, Any]], Mapping[str, np.ndarray[Any, Any]]]
    """Logits [V] of the same tokens in turn, and the caches that the way leaves."""

__all__ = ["checks", "rounds_activations"]

_SAME_LOGITS = {"float32": 1e-3, "float16": 0.25}
"""The largest difference of one logit by another order of sums; a way that is wrong is off by whole units."""
_SAME_CACHE = 0.2
"""Of a graph that rounds: the largest difference of one layer's keys or values, over their length (L2)."""
_PREFIX, _STEPS, _ROW = 6, 4, 32
"""Tokens computed at once, then one by one, and of the row beside the padded one."""
_LONG = max(CORPUS, key=len)


def checks(reference: TorchRuntime, candidate: OnnxRuntime | GenaiRuntime, graph: Path) -> Iterator[Check]:
    """The cache, and padding where the runtime makes padded batches."""
    rounds = rounds_activations(graph)
    # Not a chat: a checkpoint may have no template. Nats of few positions are noisy, hence the whole row for them.
    ids = reference.encode(_LONG)[:_ROW]
    yield _cache(candidate, ids if rounds else ids[: _PREFIX + _STEPS], rounds)
    if isinstance(candidate, OnnxRuntime):
        yield _left_padding(candidate, ids, ids[: len(ids) // 2] if rounds else ids[:_PREFIX], rounds)


def rounds_activations(graph: Path) -> bool:
    """Whether any product of a graph rounds what it multiplies its weights with, as its operators say."""
    import onnx

    model = onnx.load(str(graph), load_external_data=False)
    return any(
        node.op_type == "DynamicQuantizeLinear"
        or any(attribute.name == "accuracy_level" and attribute.i == _INT8 for attribute in node.attribute)
        for node in model.graph.node
    )


_INT8 = 4
"""`accuracy_level` of ONNX Runtime's MatMulNBits at which activations become int8, block by block."""


def _cache(candidate: OnnxRuntime | GenaiRuntime, ids: list[int], rounds: bool) -> Check:
    """Tokens fed one by one give what they give all at once."""
    whole = list(candidate.logits(ids, _PREFIX)), _copied(candidate.caches)
    candidate.keep(0)
    candidate.feed(ids[:_PREFIX], 1)
    steps = [candidate.feed([token], 1)[0].copy() for token in ids[_PREFIX:]]
    return _alike("cache", whole, (steps, candidate.caches), candidate.number_type, rounds, "step by step")


def _left_padding(candidate: OnnxRuntime, row: list[int], short: list[int], rounds: bool) -> Check:
    """A row that is padded on the left beside a longer one gives what it gives alone."""
    alone = list(candidate.logits(short)), _copied(candidate.caches)
    _, (logits, caches) = candidate.padded([row, short])
    return _alike("left padding", alone, (list(logits), caches), candidate.number_type, rounds, "padded on the left")


def _copied(caches: "Mapping[str, np.ndarray[Any, Any]]") -> "dict[str, np.ndarray[Any, Any]]":
    return {place: array.copy() for place, array in caches.items()}


def _alike(name: str, one: "Way", other: "Way", number_type: str, rounds: bool, how: str) -> Check:
    return _rounded(name, one, other, how) if rounds else _exact(name, one, other, _SAME_LOGITS[number_type], how)


def _exact(name: str, one: "Way", other: "Way", tolerance: float, how: str) -> Check:
    import numpy as np

    largest = float(np.abs(np.array(one[0], np.float32) - np.array(other[0], np.float32)).max())
    # Written so that a NaN is a difference.
    if not largest <= tolerance:
        return Check(name, False, f"logits differ by {largest:.3g} {how}, at most {tolerance:g} is rounding")
    return Check(name, True, f"logits differ by {largest:.1g} at most")


def _rounded(name: str, one: "Way", other: "Way", how: str) -> Check:
    import numpy as np

    most = default_gate("int8").mean_kl
    caches = {place: _distance(array, other[1][place]) for place, array in one[1].items()}
    place = max(caches, key=lambda key: (np.isnan(caches[key]), caches[key]))
    if not caches[place] <= _SAME_CACHE:
        layer, _, part = place.partition(".")
        off = f"the {part}s of layer {layer} differ by {caches[place]:.0%}"
        return Check(name, False, f"{off} {how}, at most {_SAME_CACHE:.0%} is rounding")
    nats = float(divergence(np.array(one[0]), np.array(other[0]), [0] * len(one[0])).kl.mean())
    if not nats <= most:
        return Check(name, False, f"{nats:.2g} nats lie between at once and {how}, at most {most:g} is rounding")
    told = f"{nats:.1g} nats, {caches[place]:.1%} of the cache of a layer at most"
    return Check(name, True, f"{told}: activations are rounded to 8 bits")


def _distance(one: "np.ndarray[Any, Any]", other: "np.ndarray[Any, Any]") -> float:
    import numpy as np

    if one.shape != other.shape:
        return float("inf")
    ours, theirs = one.astype(np.float32), other.astype(np.float32)
    return float(np.linalg.norm(ours - theirs) / max(float(np.linalg.norm(ours)), 1e-30))

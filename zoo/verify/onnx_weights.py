"""Are the weights of a graph the checkpoint's, each as fine as the graph's type says; named as the checkpoint does.

A tracer gives the weights names of its own, so they are found by what they hold: of all constants of a shape, a tensor
is the one nearest to it on a few rows. Rounding to four bits moves a row by a tenth or two of its length, any other
tensor is 140 % away. Not covered: GenAI's graphs, whose builder packs three matrices into one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.formats import architectures, onnx_files, weights
from zoo.formats.onnx_weights import GraphWeight, graph_weights
from zoo.formats.weights import StoredTensor
from zoo.serving import TorchRuntime
from zoo.verify.check import Check
from zoo.verify.rows import row_fault

if TYPE_CHECKING:
    import numpy as np

__all__ = ["checks"]

_ROTARY = "rotary base"

_LEAST_BITS = {"fp32": 32, "fp16": 16, "int8": 8, "int4": 4}
_ROW_ERROR = {"F32": 0.0, "F16": 1e-3, "BF16": 4e-3, "8 bits": 3e-2, "4 bits": 0.35}
"""The largest relative error (L2) of one row, in blocks twice the worst of a fine-tuned SmolLM2-135M: 1.4 % in 8 bits,
16 % in 4."""
_SMALLEST_STEP = {"F16": 2.0**-25}
_RELATED = 0.7
"""Relative error of a few rows below which a constant is a tensor's, rounded or damaged."""
_SAMPLED = 4


def checks(reference: TorchRuntime, graph: Path) -> Iterator[Check]:
    """Rotary frequencies, types, and every row of every tensor that the graph holds in a form known here."""
    if onnx_files.is_genai(graph):
        for name in (_ROTARY, "tensor types", "weights"):
            yield Check(name, None, "not run: GenAI's builder packs several tensors into one")
        return
    config = reference.model.config
    tensors = _tensors(reference.folder, bool(config.tie_word_embeddings))
    held = list(graph_weights(graph))
    yield _rotary(reference, held)
    found, strange, absent = _found(tensors, held)
    yield _types(found, onnx_files.variant_of(graph))
    yield _weights(found, strange, absent)


def _rotary(reference: TorchRuntime, held: Sequence[GraphWeight]) -> Check:
    """The frequencies by which positions turn queries and keys: in a traced graph one constant, which falls from 1.
    The n-th of N is the base to the power of -n/N (arXiv 2104.09864, section 3.2.2), stretched positions aside."""
    import numpy as np

    buffers = {name: buffer for name, buffer in reference.model.named_buffers() if "visual" not in name}
    wanted = next((one.float().cpu().numpy() for name, one in buffers.items() if name.endswith("inv_freq")), None)
    if wanted is None:
        return Check(_ROTARY, None, "not run: the model keeps no rotary frequencies")
    vectors = [one.load() for one in held if one.shape == wanted.shape]
    found = next((one for one in vectors if one[0] == 1 and one[-1] > 0 and (np.diff(one) < 0).all()), None)
    if found is None:
        return Check(_ROTARY, None, "not run: no constant of the graph falls from 1")
    bases = [float(one[1]) ** -len(one) for one in (found, wanted)]
    if not np.allclose(found, wanted, rtol=1e-3, atol=1e-7):
        return Check(_ROTARY, False, f"positions turn by the base {bases[0]:.6g}, in the checkpoint {bases[1]:.6g}")
    return Check(_ROTARY, True, f"{bases[1]:.6g}")


def _tensors(folder: Path, tied: bool) -> list[StoredTensor]:
    """Of the language model; a tied head is the embedding."""
    return [
        tensor
        for tensor in weights.index(folder)
        if (name := architectures.language_name(tensor.name)) and not (tied and name == "lm_head.weight")
    ]


Found = Mapping[str, tuple[StoredTensor, GraphWeight]]


def _found(
    tensors: Sequence[StoredTensor], held: Sequence[GraphWeight]
) -> tuple[Found, list[StoredTensor], list[StoredTensor]]:
    """Name -> tensor and its constant; the tensors that no constant of their shape is near to; and those of a shape
    that the graph does not have."""
    import numpy as np

    by_shape: dict[tuple[int, ...], list[tuple[GraphWeight, Any]]] = defaultdict(list)
    shapes = {tensor.shape for tensor in tensors}
    for weight in held:
        if weight.shape in shapes:
            by_shape[weight.shape].append((weight, weight.rows(_sampled(weight.shape))))
    found, strange = {}, []
    for tensor in tensors:
        if tensor.shape not in by_shape:
            continue
        expected = _rows(tensor)
        errors = [float(np.linalg.norm(rows - expected)) for _, rows in by_shape[tensor.shape]]
        # A NaN is never the nearest
        nearest = int(np.argmin([np.inf if np.isnan(error) else error for error in errors]))
        if errors[nearest] <= _RELATED * float(np.linalg.norm(expected)):
            found[tensor.name] = tensor, by_shape[tensor.shape][nearest][0]
        else:
            strange.append(tensor)
    return found, strange, [tensor for tensor in tensors if tensor.shape not in by_shape]


def _sampled(shape: tuple[int, ...]) -> "np.ndarray[Any, Any]":
    """Some of the rows, of a vector all entries."""
    import numpy as np

    return np.linspace(0, shape[0] - 1, shape[0] if len(shape) == 1 else min(_SAMPLED, shape[0])).astype(int)


def _rows(tensor: StoredTensor) -> "np.ndarray[Any, Any]":
    import numpy as np

    if len(tensor.shape) == 1:
        return tensor.load()
    return np.concatenate([tensor.load(int(row), 1) for row in _sampled(tensor.shape)])


def _types(found: Found, variant: str | None) -> Check:
    least = _LEAST_BITS.get(variant or "")
    if least is None or not found:
        why = "its place says no type" if found else "no tensor of the checkpoint is in the graph as it is"
        return Check("tensor types", None, f"not run: {why}")
    wrong = [f"{name} has {weight.bits}" for name, (_, weight) in found.items() if weight.bits < least]
    if wrong:
        return Check("tensor types", False, f"{len(wrong)} tensors have less than {least} bits; first {wrong[0]}")
    counts = Counter(weight.bits for _, weight in found.values())
    return Check("tensor types", True, ", ".join(f"{count} of {bits} bits" for bits, count in sorted(counts.items())))


def _weights(found: Found, strange: Sequence[StoredTensor], absent: Sequence[StoredTensor]) -> Check:
    faults = [f"{one.name}: nothing in the graph is near to it" for one in strange]
    faults += [fault for name, pair in found.items() if (fault := _fault(name, *pair))]
    count = len(found) + len(strange)
    if faults:
        return Check("weights", False, f"{len(faults)} of {count} tensors differ; first {faults[0]}")
    left = f"; {len(absent)} in another form only by what they compute" if absent else ""
    if not count:
        return Check("weights", None, f"not run: no tensor of the checkpoint is in the graph as it is{left}")
    return Check("weights", True, f"{count} of {count + len(absent)} tensors, row by row{left}")


def _fault(name: str, tensor: StoredTensor, weight: GraphWeight) -> str:
    limit = _ROW_ERROR[weight.type]
    return row_fault(name, weight.type, weight.load(), tensor.load(), limit, _SMALLEST_STEP.get(weight.type, 0.0))

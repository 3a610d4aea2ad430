"""Are the tensors of a GGUF file the checkpoint's: types as fine as the file says, every row read back and compared."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo.formats.architectures import LanguageTensor
from zoo.formats.gguf_header import Header, Tensor
from zoo.verify.check import Check
from zoo.verify.gates import type_of
from zoo.verify.rows import row_fault

if TYPE_CHECKING:
    import numpy as np

__all__ = ["tensor_types", "weights"]


def tensor_types(header: Header) -> Check:
    """No tensor is coarser than the type that the file says it has, and no vector (a norm, a bias) below 16 bits."""
    kind = type_of(header)
    least = _bits(_TENSOR_TYPE.sub(r"\1", kind).upper())
    wrong = [
        f"{tensor.name} is {tensor.type}"
        for tensor in header.tensors
        if (_bits(tensor.type) or 0) < (least or 0) or (len(tensor.shape) == 1 and (_bits(tensor.type) or 16) < 16)
    ]
    if wrong:
        return Check("tensor types", False, f"{len(wrong)} tensors are coarser than {kind}; first {wrong[0]}")
    counts = ", ".join(f"{count} {name}" for name, count in header.types.items())
    return Check("tensor types", True if least else None, counts if least else f"not run: {kind} is no known type")


# q4_k_m and q4_k_s are mixtures whose coarsest tensors are q4_k
_TENSOR_TYPE = re.compile(r"^(q\d_k|iq\d_\w+?)_(?:[sml]|xs)$")


def _bits(type_: str) -> float | None:
    """Bits a weight of a tensor type, its scales included; None for a type that ggml does not have."""
    import gguf

    if type_ not in gguf.GGMLQuantizationType.__members__:
        return None
    block, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[type_]]
    return float(8 * block_bytes / block)


# The largest relative error (L2) of one row. Half a unit in the last place of f16 and bf16; for q8_0, 127 steps to the
# largest of 32 values keep a row of ordinary weights within 1 %. Of the smaller types twice or more the worst row of
# SmolLM2-135M, with an importance matrix and without: 5.5 % in q6_k, 3 to 4 % in q5_k and q4_k, 9 % in q5_1, 12 % in
# q5_0, 19 % in q4_0. A row from another place in the tensor is off by 140 %.
_ROW_ERROR = {
    "F32": 0.0, "F16": 1e-3, "BF16": 4e-3, "Q8_0": 2e-2, "Q6_K": 0.12, "Q5_K": 0.12, "Q4_K": 0.2, "Q5_1": 0.2,
    "Q5_0": 0.25, "Q4_1": 0.35, "Q4_0": 0.4,
}  # fmt: skip
# The absolute error of one value below which f16 knows no smaller step (half of 2^-24); the other types keep their
# scale in f16, so that it counts times the largest factor. The embedding of a padding token, which nothing trains,
# decays to there.
_LARGEST_FACTOR = {
    "F32": 0, "F16": 1, "BF16": 0, "Q8_0": 127, "Q4_0": 8, "Q4_1": 16, "Q5_0": 16, "Q5_1": 32, "Q4_K": 63 * 16,
    "Q5_K": 63 * 32, "Q6_K": 128 * 32,
}  # fmt: skip
_SMALLEST_STEP = {kind: factor * 2.0**-25 for kind, factor in _LARGEST_FACTOR.items()}


def weights(tensors: Sequence[LanguageTensor], header: Header) -> Check:
    """Every row of every tensor, read back from the file and dequantized, against the checkpoint's."""
    written = {tensor.name: tensor for tensor in header.tensors}
    names = {tensor.name for tensor in tensors}
    if names != written.keys() - _DERIVED:
        odd = sorted(names ^ (written.keys() - _DERIVED))
        return Check("weights", False, f"tensors only in one of both: {', '.join(odd[:4])}")
    readable = [tensor for tensor in tensors if written[tensor.name].type in _ROW_ERROR]
    wrong = [fault for tensor in readable if (fault := _fault(tensor, written[tensor.name]))]
    if wrong:
        return Check("weights", False, f"{len(wrong)} of {len(tensors)} tensors differ; first {wrong[0]}")
    others = sorted({tensor.type for tensor in written.values()} - _ROW_ERROR.keys())
    left = f"; {len(tensors) - len(readable)} in {', '.join(others)} only by what they compute" if others else ""
    return Check("weights", True, f"{len(readable)} of {len(tensors)} tensors, row by row{left}")


_DERIVED = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}
"""Tensors that converters compute from settings."""


def _fault(tensor: LanguageTensor, written: Tensor) -> str:
    if written.shape != tensor.stored.shape:
        return f"{tensor.name} has the shape {written.shape}, in the checkpoint {tensor.stored.shape}"
    kind = written.type
    return row_fault(tensor.name, kind, _read_back(written), tensor.load(), _ROW_ERROR[kind], _SMALLEST_STEP[kind])


def _read_back(written: Tensor) -> "np.ndarray[Any, Any]":
    import gguf
    import numpy as np

    kind = gguf.GGMLQuantizationType[written.type]
    data = np.fromfile(written.file, np.uint8, count=written.bytes, offset=written.offset)
    shape = gguf.quant_shape_to_byte_shape(written.shape, kind)
    values: np.ndarray[Any, Any] = gguf.quants.dequantize(data.reshape(shape), kind)
    return values

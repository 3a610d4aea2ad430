"""The weights of an ONNX graph, one at a time, as numbers: constants in floating point and blocks of 8 or 4 bits.

Exporters give most weights names of their own (`val_73`), so that a weight says here what it is used for only by its
shape: rows are what a product makes, columns what it sums over, as in torch. Covered: the operands of MatMul, Gather,
MatMulNBits and GatherBlockQuantized, and vectors. Not covered: what other quantizers write (MatMulInteger).
Source of the packing: ONNX Runtime, docs/ContribOperators.md: com.microsoft.MatMulNBits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import onnx

__all__ = ["FLOATS", "GraphWeight", "graph_weights"]

FLOATS = {1: ("F32", 32), 10: ("F16", 16), 16: ("BF16", 16)}
"""`TensorProto.DataType` -> name and bits, of the constants that are read as they are."""


@dataclass(frozen=True)
class GraphWeight:
    """One weight of a graph."""

    name: str
    type: str
    """`F32`, `F16`, `BF16`, or `8 bits`, `4 bits` in blocks."""
    bits: int
    shape: tuple[int, ...]
    """Rows first, as in torch."""
    _stored: Any
    _transposed: bool = False
    _blocks: "_Blocks | None" = None

    def load(self) -> "np.ndarray[Any, Any]":
        """Its values in float32."""
        return self.rows(slice(None))

    def rows(self, which: Any) -> "np.ndarray[Any, Any]":
        """Some of its rows, or entries of a vector, in float32; `which` is an index array or a slice."""
        import numpy as np

        if self._blocks:
            return self._blocks.rows(self._stored, which, self.shape[1])
        values = self._stored()
        chosen: np.ndarray[Any, Any] = values[:, which].T if self._transposed else values[which]
        return chosen.astype(np.float32)


@dataclass(frozen=True)
class _Blocks:
    """What belongs to a weight in blocks besides its data: a scale for each block, perhaps a zero point."""

    bits: int
    scales: Any
    zeros: Any
    """None for the middle of the range."""

    def rows(self, stored: Any, which: Any, width: int) -> "np.ndarray[Any, Any]":
        import numpy as np

        scales = self.scales()
        data = stored().reshape(*scales.shape, -1)[which]
        values = _unpacked(data, self.bits).astype(np.float32)
        if self.zeros is None:
            values -= 2.0 ** (self.bits - 1)
        else:
            zeros = _unpacked(self.zeros().reshape(len(scales), -1), self.bits)[which, : scales.shape[1]]
            values -= zeros.astype(np.float32)[..., None]
        values *= scales[which].astype(np.float32)[..., None]
        return values.reshape(len(values), -1)[:, :width]


def _unpacked(data: "np.ndarray[Any, Any]", bits: int) -> "np.ndarray[Any, Any]":
    """Two weights of four bits lie in a byte, the first in its lower half."""
    import numpy as np

    if bits == 8:
        return data
    return np.stack([data & 15, data >> 4], axis=-1).reshape(*data.shape[:-1], -1)


def graph_weights(graph: Path) -> Iterator[GraphWeight]:
    """Every weight of a graph that is known here, those of several uses once.

    Memory: the graph as it lies on disk, without its data file, of which one weight is read at a time.
    """
    import onnx

    model = onnx.load(str(graph), load_external_data=False).graph
    constants = {tensor.name: tensor for tensor in model.initializer}
    reshaped = {node.output[0]: node.input[0] for node in model.node if node.op_type == "Reshape"}
    transposed = {node.input[1] for node in model.node if node.op_type == "MatMul"}
    done: set[str] = set()
    for node in model.node:
        if node.op_type in _IN_BLOCKS:
            place = _IN_BLOCKS[node.op_type]
            data = reshaped.get(node.input[place], node.input[place])
            found = None if data in done else _in_blocks(node, data, constants, graph.parent)
            done |= {data, *node.input}
            if found:
                yield found
    for tensor in model.initializer:
        if tensor.name not in done and tensor.data_type in FLOATS and len(tensor.dims) in (1, 2):
            type_, bits = FLOATS[tensor.data_type]
            turned = tensor.name in transposed and len(tensor.dims) == 2
            shape = tuple(tensor.dims)[::-1] if turned else tuple(tensor.dims)
            yield GraphWeight(tensor.name, type_, bits, shape, _array(tensor, graph.parent), turned)


_IN_BLOCKS = {"MatMulNBits": 1, "GatherBlockQuantized": 0}
"""Operator -> which of its inputs is the data; the scales, and maybe zero points, are the last ones."""


def _in_blocks(node: Any, data: str, constants: "Mapping[str, onnx.TensorProto]", folder: Path) -> GraphWeight | None:
    import numpy as np
    import onnx

    settings = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    beside = [name for name in node.input[2:] if name]
    bits = settings.get("bits", 4)
    if bits not in (4, 8) or data not in constants or not beside or beside[0] not in constants:
        return None
    values, scales = _array(constants[data], folder), _array(constants[beside[0]], folder)
    zeros = _array(constants[beside[1]], folder) if len(beside) > 1 and beside[1] in constants else None
    rows, blocks = _grid(constants[data], constants[beside[0]])
    width = settings.get("K", blocks * settings["block_size"])
    packed = _Blocks(bits, lambda: np.asarray(scales()).reshape(rows, blocks), zeros)
    return GraphWeight(data, f"{bits} bits", bits, (rows, width), values, False, packed)


def _grid(data: "onnx.TensorProto", scales: "onnx.TensorProto") -> tuple[int, int]:
    """Rows, and blocks in each: older files keep the scales of all rows in one long vector."""
    rows = int(data.dims[0])
    count = int(scales.dims[0]) * (int(scales.dims[1]) if len(scales.dims) > 1 else 1)
    return rows, count // rows


def _array(tensor: "onnx.TensorProto", folder: Path) -> Any:
    from functools import partial

    from onnx import numpy_helper

    return partial(numpy_helper.to_array, tensor, str(folder))

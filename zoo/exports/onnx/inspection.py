"""What a written graph is, by the `onnx` package alone: checked, shapes inferred, counted. No runtime is involved."""

from collections import Counter
from pathlib import Path
from typing import Any

from zoo.errors import ExportError
from zoo.formats import onnx_files

__all__ = ["inspect"]

_RUNTIME_ONLY = "SimplifiedLayerNormalization"
"""ONNX Runtime's own operator, which GenAI's builder files under the standard ones, where no checker knows it."""


def inspect(graph: Path) -> dict[str, Any]:
    """Check a graph with `onnx.checker`, infer its shapes, and count what is in it.

    Returns plain data for a record: bytes, opsets, nodes by operator, products by the bits of their weights, tensors by
    type.
    Raises ExportError when the checker refuses it, or when shape inference contradicts what it says.
    """
    import onnx
    from onnx import TensorProto

    try:
        model = onnx.load(str(graph), load_external_data=False)
        _check(graph, model)
        inferred = onnx.shape_inference.infer_shapes(_without_weights(model), strict_mode=False, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{graph}: not a valid graph: {error}") from error
    inner = {value.name: value.type.tensor_type for value in inferred.graph.value_info}
    operators = Counter(_operator(node) for node in model.graph.node)
    types = Counter(TensorProto.DataType.Name(tensor.data_type) for tensor in model.graph.initializer)
    return {
        "bytes": onnx_files.size(graph),
        "ir_version": model.ir_version,
        "opsets": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "nodes": len(model.graph.node),
        "operators": dict(operators.most_common()),
        "shaped_values": sum(tensor.HasField("shape") for tensor in inner.values()),
        "weight_bits": _weight_bits(model),
        "tensor_types": dict(sorted(types.items())),
    }


def _weight_bits(model: Any) -> dict[str, int]:
    """Bits -> matrix products and look-ups with quantized weights of so many bits."""
    attributes = (attribute for node in model.graph.node for attribute in node.attribute if attribute.name == "bits")
    return {str(bits): count for bits, count in sorted(Counter(attribute.i for attribute in attributes).items())}


def _check(graph: Path, model: Any) -> None:
    """By its path, since a graph of more than 2 GB is checked no other way; this also asks for its data file."""
    import onnx

    foreign = [node for node in model.graph.node if node.op_type == _RUNTIME_ONLY and not node.domain]
    if not foreign:
        onnx.checker.check_model(str(graph))
        return
    for node in foreign:
        node.domain = "com.microsoft"
    beside = graph.with_name(f".{graph.name}.part")
    try:
        onnx.save(model, str(beside))
        onnx.checker.check_model(str(beside))
    finally:
        beside.unlink(missing_ok=True)


def _operator(node: Any) -> str:
    return f"{node.domain}:{node.op_type}" if node.domain else str(node.op_type)


def _without_weights(model: Any) -> Any:
    """Shapes do not depend on large constants, and inference copies the whole model."""
    import onnx

    light = onnx.ModelProto()
    light.CopyFrom(model)
    for tensor in light.graph.initializer:
        if len(tensor.raw_data) > 4096:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
    return light

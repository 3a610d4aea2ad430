"""A float32 graph with its weights in 8 or 4 bits, by ONNX Runtime's own quantizer; activations stay float32.

Weights only, in blocks of 32 (`MatMulNBits`): the model stays right for activations that no calibration saw, which
dynamic quantization of activations does not promise. The embedding and the head are one matrix of 8 bits when the
checkpoint ties them, also where the layers have 4: it is the most sensitive one, and would otherwise lie in the file
twice, once in float32.
"""

from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import ExportError
from zoo.exports.onnx.quiet import quiet

if TYPE_CHECKING:
    import onnx

__all__ = ["BLOCK", "quantize"]

BLOCK = 32
_INT8_ARITHMETIC = 4
"""`accuracy_level` of MatMulNBits: each block of activations is rounded to int8 as well, as llama.cpp does."""
_OPERATORS = "com.microsoft"


def quantize(model: "onnx.ModelProto", variant: Literal["int8", "int4"]) -> "onnx.ModelProto":
    """Quantize every matrix product with a constant, and the embedding.

    `int8`: symmetric, round to nearest. `int4`: the k-quant search for scale and zero point, with head and embedding at
    8 bits. The model is changed in place and returned.

    Raises ExportError when a width is no multiple of the block (of two blocks for `int4`), when there is nothing to
    quantize, or when the head is no plain matrix product.
    """
    import onnx

    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    head, tied = _untie(model)
    _check_widths(model, 2 * BLOCK if variant == "int4" else BLOCK)
    quantized = _in_blocks(model, variant, head)
    products = [node for node in quantized.graph.node if node.op_type == "MatMulNBits"]
    for node in products:
        node.attribute.extend([onnx.helper.make_attribute("accuracy_level", _INT8_ARITHMETIC)])
    produced = next(node for node in products if "logits" in node.output)
    _replace_embedding(quantized, list(produced.input[1:]) if tied else None)
    del quantized.opset_import[:]
    quantized.opset_import.extend([onnx.helper.make_opsetid("", opset), onnx.helper.make_opsetid(_OPERATORS, 1)])
    return quantized


def _in_blocks(model: "onnx.ModelProto", variant: str, head: str) -> "onnx.ModelProto":
    with quiet("neural_compressor", "onnxruntime.quantization.matmul_nbits_quantizer"):
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        quantizer = MatMulNBitsQuantizer(model, block_size=BLOCK, algo_config=_algorithm(variant, head))
        quantizer.process()
    quantized: onnx.ModelProto = quantizer.model.model
    return quantized


def _algorithm(variant: str, head: str) -> Any:
    from onnxruntime.quantization import matmul_nbits_quantizer as quantizers

    if variant == "int8":
        return quantizers.DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=True, bits=8)
    return quantizers.KQuantWeightOnlyQuantConfig(customized_weight_config={head: {"bits": 8, "group_size": BLOCK}})


def _untie(model: "onnx.ModelProto") -> tuple[str, bool]:
    """The name of the head's matrix product, and whether its matrix is the embedding.

    A tied head is a product with the transposed embedding, which no quantizer takes for a constant: it gets a
    transposed constant of its own. Unnamed nodes get names, since the quantizers go by them.
    """
    from onnx import numpy_helper

    graph = model.graph
    for index, node in enumerate(graph.node):
        node.name = node.name or f"node_{index}"
    producers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    head = producers["logits"]
    if head.op_type != "MatMul":
        raise ExportError(f"the graph's logits come from {head.op_type}; only a plain head is quantized")
    transpose = producers.get(head.input[1])
    if transpose is None:
        return head.name, False
    if transpose.op_type != "Transpose" or transpose.input[0] not in constants:
        raise ExportError(f"the head's matrix comes from {transpose.op_type}; only a constant one is quantized")
    matrix = numpy_helper.to_array(constants[transpose.input[0]]).T
    graph.initializer.append(numpy_helper.from_array(matrix.copy(), "head"))
    head.input[1] = "head"
    graph.node.remove(transpose)
    return head.name, True


def _check_widths(model: "onnx.ModelProto", multiple: int) -> None:
    """The k-quant quantizer packs two zero points into a byte, row after row, without regard to where a row ends: with
    an odd number of blocks in a row its file loads and is wrong."""
    constants = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants]
    if not products:
        raise ExportError("no matrix product of the graph has constant weights; there is nothing to quantize")
    for node in products:
        width = constants[node.input[1]][0]
        if width % multiple:
            raise ExportError(f"{node.name} sums over {width} values, no multiple of {multiple}; export fp16 instead")


def _replace_embedding(model: "onnx.ModelProto", head: list[str] | None) -> None:
    """Look tokens up in 8 bits: in the head's own data (`head`: data, scales and maybe zero points), or in new data."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    lookup = next(node for node in graph.node if node.op_type == "Gather" and node.input[1] == "input_ids")
    rows, width = constants[lookup.input[0]].dims
    if head is None:
        head = ["embedding_Q8", "embedding_scales"]
        graph.initializer.extend(_in_8_bits(numpy_helper.to_array(constants[lookup.input[0]]), head))
    shape = numpy_helper.from_array(np.array([rows, width]), "embedding_shape")
    graph.initializer.remove(constants[lookup.input[0]])
    graph.initializer.append(shape)
    flat = onnx.helper.make_node("Reshape", [head[0], shape.name], ["embedding_rows"], "embedding_rows")
    gather = onnx.helper.make_node(
        "GatherBlockQuantized", [flat.output[0], "input_ids", *head[1:]], list(lookup.output), "embedding",
        domain=_OPERATORS, bits=8, block_size=BLOCK, gather_axis=0, quantize_axis=1,
    )  # fmt: skip
    place = list(graph.node).index(lookup)
    graph.node.remove(lookup)
    graph.node.insert(place, gather)
    graph.node.insert(place, flat)


def _in_8_bits(matrix: Any, names: list[str]) -> "list[onnx.TensorProto]":
    from onnx import numpy_helper
    from onnxruntime.quantization import matmul_nbits_quantizer as quantizers

    settings = quantizers.DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=True, bits=8)
    packed, scales, _ = quantizers.DefaultWeightOnlyQuantizer(settings).qbits_block_quant(matrix.T.copy())
    return [numpy_helper.from_array(array, name) for array, name in zip((packed, scales), names, strict=True)]

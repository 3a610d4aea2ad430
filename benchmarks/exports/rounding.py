"""Why a graph with 8-bit activations does not come to the same token by token, and what that costs or saves.

    python benchmarks/exports/rounding.py CHECKPOINT EXPORT

EXPORT is a folder with `onnx/model_quantized.onnx` or `onnx/model_q4.onnx`, made of CHECKPOINT where it lacks them.
Each graph is opened as it is and with another `accuracy_level` (4 rounds activations to int8, 1 does not), read once as
a whole and once token by token. Then its head alone is given rows together and one by one, and rows that
differ by a part in a million. Printed: two tables.
"""

import argparse
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import helper

from zoo.exports.onnx import convert
from zoo.formats import onnx_files
from zoo.metrics import divergence
from zoo.serving import OnnxRuntime, open_onnx
from zoo.serving.stepwise import step_seconds

_TEXT = "You operate a phone. The user wants to delete the chat with yusuf, and to call back later today."
_AT_ONCE, _STEPS, _TIMED = 6, 14, 6
_ROWS, _ALONE = 512, 8
"""So many that some value lies where a millionth decides how it is rounded."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("export", type=Path)
    parser.add_argument("--variants", nargs="+", default=["int8", "int4"], choices=["int8", "int4"])
    options = parser.parse_args()
    print("| graph | accuracy level | largest difference of a logit | nats between | of a layer's cache | s a token |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    products = []
    for variant in options.variants:
        graph = options.export / onnx_files.FILES[variant]
        if not graph.is_file():
            convert(options.checkpoint, options.export, variant)
        for level in (4, 1):
            with TemporaryDirectory(dir=graph.parent) as folder:
                copy = Path(folder) / graph.name
                model = with_level(onnx.load(str(graph)), level)
                onnx.save(model, str(copy))
                for name in ("tokenizer.json", "tokenizer_config.json"):
                    (copy.parent / name).write_bytes((options.export / name).read_bytes())
                with open_onnx(copy, threads=1) as runtime:
                    print(f"| {variant} | {level} | {' | '.join(two_ways(runtime))} |", flush=True)
            products.append(f"| {variant} | {level} | {' | '.join(one_product(model))} |")
    print("\n| head of | accuracy level | a row alone and among others | after a change of 1e-6 |")
    print("| --- | --- | ---: | ---: |")
    print("\n".join(products))


def with_level(model: Any, level: int) -> Any:
    """Every product at another `accuracy_level`, in place."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = level
    return model


def two_ways(runtime: OnnxRuntime) -> list[str]:
    """Cells: a prompt at once against the same one token by token."""
    ids = runtime.encode(_TEXT)[: _AT_ONCE + _STEPS]
    whole, kept = runtime.logits(ids, _AT_ONCE), runtime.caches
    runtime.keep(0)
    runtime.feed(ids[:_AT_ONCE], 1)
    steps = np.array([runtime.feed([token], 1)[0] for token in ids[_AT_ONCE:]])
    nats = divergence(whole, steps, [0] * len(steps)).kl.mean()
    off = max(relative(array, runtime.caches[place]) for place, array in kept.items())
    seconds = statistics.median(step_seconds(runtime, _TIMED))
    return [f"{np.abs(whole - steps).max():.1e}", f"{nats:.1e}", f"{off:.1e}", f"{seconds:.3f}"]


def one_product(model: Any) -> list[str]:
    """Cells: relative differences of what the last product of a graph, its head, gives."""
    import onnxruntime

    node = [one for one in model.graph.node if one.op_type == "MatMulNBits"][-1]
    settings = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    width, rows = settings["K"], settings["N"]
    constants = [tensor for tensor in model.graph.initializer if tensor.name in node.input]
    inner = helper.make_node("MatMulNBits", ["x", *node.input[1:]], ["y"], domain="com.microsoft", **settings)
    graph = helper.make_graph(
        [inner], "one", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["rows", rows])], constants,
    )  # fmt: skip
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    session = onnxruntime.InferenceSession(alone.SerializeToString(), providers=["CPUExecutionProvider"])
    draw = np.random.default_rng(0)
    given = draw.standard_normal((_ROWS, width)).astype(np.float32)
    nearly = (given * (1 + 1e-6 * draw.standard_normal(given.shape))).astype(np.float32)
    (together,) = session.run(None, {"x": given})
    one_by_one = np.concatenate([session.run(None, {"x": row[None]})[0] for row in given[:_ALONE]])
    (changed,) = session.run(None, {"x": nearly})
    largest = float(np.abs(together).max())
    pairs = ((together[:_ALONE], one_by_one), (together, changed))
    return [f"{np.abs(one - other).max() / largest:.1e}" for one, other in pairs]


def relative(one: np.ndarray, other: np.ndarray) -> float:
    """Difference over length (L2)."""
    return float(np.linalg.norm(one - other) / np.linalg.norm(one))


if __name__ == "__main__":
    main()

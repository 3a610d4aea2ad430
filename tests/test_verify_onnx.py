"""Verification of ONNX exports: a faithful one passes, each damage is found by the check that names it."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exported_onnx import VARIANTS, OnnxExport
from onnx import numpy_helper

from zoo.errors import GateError
from zoo.exports.gguf import convert
from zoo.exports.onnx import convert as convert_graph
from zoo.records import StageContext, StageResult
from zoo.schema import AgentSpec, Gate, VerifySpec
from zoo.serving import TorchRuntime, open_export, open_torch
from zoo.verify import onnx_weights, run
from zoo.verify.gates import default_gate
from zoo.verify.onnx_ways import rounds_activations
from zoo.verify.opening import exported, file_checks, label, size, structural_checks, type_of

AGENT = AgentSpec(style="terse", answer_tokens=16)
# A lively random model is far from every decision that a trained one makes.
LOOSE = {
    "int8": Gate(mean_kl=1e-3, top1=0.8),
    "int4": Gate(mean_kl=1.0, top1=0.3, perplexity_ratio=2.0),
    "genai-int8": Gate(mean_kl=0.1, top1=0.8),
}
GRAPH, ROUNDING = "onnx/model.onnx", "onnx/model_quantized.onnx"


@pytest.fixture(scope="module")
def reference(onnx_export: OnnxExport) -> Iterator[TorchRuntime]:
    with open_torch(onnx_export.checkpoint) as runtime:
        yield runtime


@pytest.fixture
def export(onnx_export: OnnxExport, tmp_path: Path) -> Path:
    """A copy with the exact graph only, to be damaged."""
    return shutil.copytree(onnx_export.folder, tmp_path / "export", ignore=shutil.ignore_patterns("genai", "*_*.onnx"))


def verify(export: Path, against: Path, tmp_path: Path, **changes: Any) -> StageResult:
    for name in ("out", "scratch"):
        (tmp_path / name).mkdir()
    spec = VerifySpec(
        **{
            "export": "stage:onnx",
            "against": "stage:grpo",
            "prompts": 2,
            "texts": 1,
            "actions": 1,
            "gates": {},
            "agent": AGENT,
        }
        | changes
    )
    return run(spec, StageContext(tmp_path / "out", tmp_path / "scratch", {"export": export, "against": against}, 5))


def test_a_faithful_export_passes_and_says_how_far_each_file_is(onnx_export: OnnxExport, tmp_path: Path) -> None:
    result = verify(onnx_export.folder, onnx_export.checkpoint, tmp_path, gates=LOOSE)
    far = {name.removesuffix(".mean_kl"): metric.value for name, metric in result.metrics.items() if ".mean_kl" in name}
    general = {name.removesuffix(".general"): far.pop(name) for name in list(far) if name.endswith(".general")}
    assert list(far) == ["fp32", "fp16", "int8", "int4", "genai-int8"]
    assert far["fp32"] < 1e-8 < far["int8"] < 1e-2
    assert far.keys() == general.keys() and general["fp32"] < 1e-8 < general["int8"] < 1e-2
    report = json.loads((tmp_path / "out/verify.json").read_text("utf-8"))
    assert report["passed"] and (tmp_path / "out/verify.svg").is_file()
    assert [one["bytes"] for one in report["files"]] == [size(file) for file in exported(onnx_export.folder)]
    assert [one["file"] for one in report["files"]] == [
        "onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_quantized.onnx", "onnx/model_q4.onnx",
        "genai/cpu-int8/model.onnx",
    ]  # fmt: skip
    names = [check["name"] for check in report["files"][0]["checks"]]
    assert names == [
        "loads", "external data", "interface", "vocabulary", "token ids", "chat template", "chat prompts",
        "stop tokens", "rotary base", "tensor types", "weights", "cache", "left padding",
    ]  # fmt: skip
    # GenAI's graphs are wrong for padded batches, which nothing here makes of them.
    assert [check["name"] for check in report["files"][-1]["checks"]] == names[:-1]


def test_without_a_gate_of_the_recipe_the_default_holds(onnx_export: OnnxExport, tmp_path: Path) -> None:
    assert [default_gate(variant).mean_kl for variant in VARIANTS] == [1e-8, 1e-4, 1e-2, 0.1, 1e-2]
    strict = LOOSE | {"int8": Gate(mean_kl=1e-12, top1=1.0)}
    with pytest.raises(GateError, match=r"model_quantized.onnx:\n.*mean_kl is .* nats on .* steps, at most 1e-12"):
        verify(onnx_export.folder, onnx_export.checkpoint, tmp_path, gates=strict)


def test_nothing_to_verify_is_no_success(onnx_export: OnnxExport, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(GateError, match="nothing to verify"):
        verify(tmp_path / "empty", onnx_export.checkpoint, tmp_path)


def test_a_file_goes_by_its_place_in_the_export(onnx_export: OnnxExport) -> None:
    found = exported(onnx_export.folder)
    assert list(found.values()) == ["fp32", "fp16", "int8", "int4", "genai-int8"]
    genai = next(file for file, variant in found.items() if variant == "genai-int8")
    assert label(genai) == "genai/cpu-int8/model.onnx"
    assert [type_of(file) for file in found] == list(found.values())
    assert type_of(onnx_export.folder / "elsewhere.onnx") == "unknown"
    assert size(genai) == sum(file.stat().st_size for file in genai.parent.glob("model.onnx*")) > 500_000


def test_an_optional_variant_may_fall_short_and_is_withheld(onnx_export: OnnxExport, tmp_path: Path) -> None:
    impossible = LOOSE | {"int4": Gate(mean_kl=1e-12, top1=1.0)}
    result = verify(onnx_export.folder, onnx_export.checkpoint, tmp_path, gates=impossible, optional=["int4"])
    (name,) = result.notes["withheld"]
    assert name == "onnx/model_q4.onnx"
    assert "try: a larger type (int8)" in result.notes["withheld"][name][-1]


def test_an_export_of_both_kinds_is_verified_file_by_file(
    onnx_export: OnnxExport, export: Path, tmp_path: Path
) -> None:
    convert(onnx_export.checkpoint, export / "model-F16.gguf", "f16")
    gate = Gate(mean_kl=1e-5, top1=0.9)
    result = verify(export, onnx_export.checkpoint, tmp_path, gates={"f16": gate})
    assert [(one["file"], one["type"]) for one in result.notes["files"]] == [
        ("model-F16.gguf", "f16"),
        ("onnx/model.onnx", "fp32"),
    ]
    assert all(one["passed"] and one["agreement"] and one["general"] for one in result.notes["files"])


def test_a_checkpoint_without_a_template_is_compared_on_general_text(onnx_export: OnnxExport, tmp_path: Path) -> None:
    plain = shutil.copytree(onnx_export.checkpoint, tmp_path / "plain")
    (plain / "chat_template.jinja").unlink()
    convert_graph(plain, tmp_path / "export", "fp32")
    result = verify(tmp_path / "export", plain, tmp_path)
    (row,) = result.notes["files"]
    assert row["agreement"] is None and row["general"]["mean_kl"] < 1e-8
    assert [check["name"] for check in row["checks"] if check["passed"] is None] == ["chat prompts"]
    assert {"cache", "left padding"} <= {check["name"] for check in row["checks"] if check["passed"]}


def edited(change: Callable[[Any], None], name: str = GRAPH) -> Callable[[Path], None]:
    """A change of the graph, which stays one that loads."""

    def apply(export: Path) -> None:
        model = onnx.load(str(export / name))
        change(model.graph)
        onnx.save(model, str(export / name))

    return apply


def forget_the_mask(graph: Any) -> None:
    """As if it had been traced without padding: every token sees every earlier one."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == "attention_mask":
                node.input[index] = "all_ones"
    graph.node.insert(0, onnx.helper.make_node("Cast", ["all_true"], ["all_ones"], to=onnx.TensorProto.INT64))
    graph.node.insert(0, onnx.helper.make_node("Equal", ["attention_mask", "attention_mask"], ["all_true"]))


def forget_the_positions(graph: Any) -> None:
    """As if every call began at position 0: right for a prompt, wrong for what follows it."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == "position_ids":
                node.input[index] = "from_zero"
    graph.initializer.append(numpy_helper.from_array(np.array([0]), "zero"))
    graph.initializer.append(numpy_helper.from_array(np.array([1]), "one"))
    first = onnx.helper.make_node("Slice", ["position_ids", "zero", "one", "one"], ["first_position"])
    graph.node.insert(0, onnx.helper.make_node("Sub", ["position_ids", "first_position"], ["from_zero"]))
    graph.node.insert(0, first)


def swap_the_past(graph: Any) -> None:
    """Each of the two layers reads the other's keys."""
    places = {"past_key_values.0.key": "past_key_values.1.key", "past_key_values.1.key": "past_key_values.0.key"}
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = places.get(name, name)


def forget_values(graph: Any) -> None:
    """The last layer finds nothing where its values were."""
    past = "past_key_values.1.value"
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == past:
                node.input[index] = "nothing"
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "naught"))
    graph.node.insert(0, onnx.helper.make_node("Mul", [past, "naught"], ["nothing"]))


def fix_the_rows(graph: Any) -> None:
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def shorten_the_vocabulary(graph: Any) -> None:
    head = next(node for node in graph.node if "logits" in node.output)
    head.output[0] = "all_logits"
    for name, number in (("zero", 0), ("last", 674), ("axis", 2)):
        graph.initializer.append(numpy_helper.from_array(np.array([number]), name))
    graph.node.append(onnx.helper.make_node("Slice", ["all_logits", "zero", "last", "axis"], ["logits"]))
    logits = next(value for value in graph.output if value.name == "logits")
    logits.type.tensor_type.shape.dim[2].dim_value = 674


def in_json(name: str, **values: Any) -> Callable[[Path], None]:
    def change(export: Path) -> None:
        data = json.loads((export / name).read_text("utf-8"))
        (export / name).write_text(json.dumps(data | values), "utf-8")

    return change


def swap_two_tokens(export: Path) -> None:
    data = json.loads((export / "tokenizer.json").read_text("utf-8"))
    words = data["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    (export / "tokenizer.json").write_text(json.dumps(data), "utf-8")


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a mask that is ignored": (edited(forget_the_mask), "left padding"),
    "positions that begin anew": (edited(forget_the_positions), "cache"),
    "one row only": (edited(fix_the_rows), "interface"),
    "a shorter vocabulary": (edited(shorten_the_vocabulary), "vocabulary"),
    "a swapped template": (
        in_json("tokenizer_config.json", chat_template="{{ messages[0].content }}"),
        "chat template",
    ),
    "no template": (in_json("tokenizer_config.json", chat_template=""), "chat template"),
    "another end": (in_json("generation_config.json", eos_token_id=[7]), "stop tokens"),
    "moved tokens": (swap_two_tokens, "token ids"),
    "the past of another layer": (edited(swap_the_past), "cache"),
    "a past that is nothing": (edited(forget_values), "cache"),
}


def found_wrong(reference: TorchRuntime, graph: Path) -> dict[str, str]:
    """Check -> what it says, of those that failed."""
    opened = open_export(graph, threads=1, context=512)
    failed = {check.name: check.detail for check in structural_checks(reference, opened) if check.passed is False}
    opened.close()
    return failed


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_found_by_the_check_that_names_it(export: Path, reference: TorchRuntime, case: str) -> None:
    change, name = DAMAGE[case]
    change(export)
    assert found_wrong(reference, export / GRAPH).get(name)


BEHIND_ROUNDING: dict[str, tuple[Callable[[Any], None], str, str]] = {
    "another layer's past": (swap_the_past, "cache", r"the keys of layer [01] differ by \d+% step by step"),
    "no past": (forget_values, "cache", r"the values of layer 1 differ by \d\d% step by step"),
    "positions that begin anew": (forget_the_positions, "cache", "the keys of layer [01] differ"),
    "a mask that is ignored": (forget_the_mask, "left padding", "differ by .* padded on the left"),
}


@pytest.mark.parametrize("case", BEHIND_ROUNDING)
def test_rounded_activations_hide_no_damage(
    onnx_export: OnnxExport, export: Path, reference: TorchRuntime, case: str
) -> None:
    """Such a graph is allowed more than a float one between two ways: less than what any fault makes."""
    shutil.copyfile(onnx_export.folder / ROUNDING, export / ROUNDING)
    change, name, detail = BEHIND_ROUNDING[case]
    edited(change, ROUNDING)(export)
    assert re.search(detail, found_wrong(reference, export / ROUNDING)[name])


def products(graph: Any, weights: list[int]) -> list[Any]:
    """The quantized products with weights of a shape, in the order of the layers."""
    return [
        node
        for node in graph.node
        if node.op_type == "MatMulNBits" and [settings(node)["N"], settings(node)["K"]] == weights
    ]


def settings(node: Any) -> dict[str, Any]:
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def constant(graph: Any, name: str) -> Any:
    return next(tensor for tensor in graph.initializer if tensor.name == name)


def quantize_one_further(graph: Any) -> None:
    """The second layer's way down through the network in 4 bits, in a graph of 8."""
    (_, node) = products(graph, [64, 128])
    data = numpy_helper.to_array(constant(graph, node.input[1])).astype(np.float32) - 128
    scale = np.abs(data).max(axis=-1, keepdims=True) / 7
    coarse = (np.round(data / np.maximum(scale, 1e-9)).clip(-8, 7) + 8).astype(np.uint8)
    packed = coarse[..., 0::2] | coarse[..., 1::2] << 4
    constant(graph, node.input[1]).CopyFrom(numpy_helper.from_array(packed, node.input[1]))
    scales = numpy_helper.to_array(constant(graph, node.input[2])) * scale[..., 0]
    constant(graph, node.input[2]).CopyFrom(numpy_helper.from_array(scales.astype(np.float32), node.input[2]))
    next(one for one in node.attribute if one.name == "bits").i = 4


def round_one_weight(graph: Any) -> None:
    """One matrix in steps of 4 bits, stored as if it were exact."""
    node = next(one for one in graph.node if one.op_type == "MatMul" and is_matrix(graph, one.input[1], [128, 64]))
    values = numpy_helper.to_array(constant(graph, node.input[1]))
    step = np.abs(values).max(axis=0, keepdims=True) / 7
    rounded = (np.round(values / step) * step).astype(np.float32)
    constant(graph, node.input[1]).CopyFrom(numpy_helper.from_array(rounded, node.input[1]))


def is_matrix(graph: Any, name: str, dims: list[int]) -> bool:
    return any(tensor.name == name and list(tensor.dims) == dims for tensor in graph.initializer)


def exchange_two_rows(graph: Any) -> None:
    """Of the head, which is also the embedding."""
    for name in products(graph, [675, 64])[0].input[1:]:
        values = numpy_helper.to_array(constant(graph, name)).copy()
        values[[40, 41]] = values[[41, 40]]
        constant(graph, name).CopyFrom(numpy_helper.from_array(values, name))


def take_another_layers(graph: Any) -> None:
    """Both layers ask with the queries of the first."""
    first, second, *_ = products(graph, [64, 64])[::2]
    second.input[1:] = first.input[1:]
    used = {name for node in graph.node for name in node.input}
    for tensor in [one for one in graph.initializer if one.name not in used]:
        graph.initializer.remove(tensor)


def turn_by_another_base(graph: Any) -> None:
    """What transformers 4 takes where it finds none."""
    frequencies = next(one for one in graph.initializer if one.name.endswith("inv_freq"))
    values = (10_000.0 ** -(np.arange(8) / 8)).astype(np.float32)
    frequencies.CopyFrom(numpy_helper.from_array(values, frequencies.name))


WRONG_WEIGHTS: dict[str, tuple[Callable[[Any], None], str, str, str]] = {
    "one tensor in 4 bits": (
        quantize_one_further, ROUNDING, "tensor types",
        r"1 tensors have less than 8 bits; first \S+1\.mlp\.down_proj\.weight has 4",
    ),
    "one tensor rounded unseen": (
        round_one_weight, GRAPH, "weights", r"first \S+0\.mlp\.down_proj\.weight \(F32\): 64 of 64",
    ),
    "two rows exchanged": (
        exchange_two_rows, ROUNDING, "weights", r"embed_tokens\.weight \(8 bits\): 2 of 675 rows, row 40",
    ),
    "a wrong rotary base": (
        turn_by_another_base, GRAPH, "rotary base", "by the base 10000, in the checkpoint 100000",
    ),
    "queries of another layer": (
        take_another_layers, ROUNDING, "weights", r"layers\.1\.self_attn\.q_proj\.weight: nothing in the graph is near",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_WEIGHTS)
def test_a_wrong_weight_is_named_as_the_checkpoint_names_it(
    onnx_export: OnnxExport, export: Path, reference: TorchRuntime, case: str
) -> None:
    change, name, check, detail = WRONG_WEIGHTS[case]
    shutil.copyfile(onnx_export.folder / ROUNDING, export / ROUNDING)
    edited(change, name)(export)
    found = found_wrong(reference, export / name)
    assert re.search(detail, found[check]), found


def test_weights_under_names_of_the_tracers_own_are_all_found(onnx_export: OnnxExport, reference: TorchRuntime) -> None:
    found = {}
    for graph, variant in exported(onnx_export.folder).items():
        found[variant] = {check.name: check for check in onnx_weights.checks(reference, graph)}
    portable = {variant: one for variant, one in found.items() if not variant.startswith("genai")}
    assert {one["weights"].detail for one in portable.values()} == {"20 of 20 tensors, row by row"}
    assert [one["tensor types"].detail for one in portable.values()] == [
        "20 of 32 bits", "20 of 16 bits", "15 of 8 bits, 5 of 32 bits", "14 of 4 bits, 1 of 8 bits, 5 of 32 bits",
    ]  # fmt: skip
    assert found["genai-int8"]["weights"].passed is None


def test_weights_of_another_checkpoint_are_not_taken_for_this_ones(
    onnx_export: OnnxExport, reference: TorchRuntime, tiny_llama: Path
) -> None:
    with open_torch(tiny_llama) as other:
        *_, weights = onnx_weights.checks(other, onnx_export.folder / GRAPH)
    assert weights.passed is False and "14 of 20 tensors differ" in weights.detail


def test_only_graphs_that_round_are_allowed_what_rounding_explains(onnx_export: OnnxExport) -> None:
    found = {variant: rounds_activations(file) for file, variant in exported(onnx_export.folder).items()}
    assert found == {"fp32": False, "fp16": False, "int8": True, "int4": True, "genai-int8": True}


def test_weights_that_are_cut_off_or_gone_are_named(
    onnx_export: OnnxExport, reference: TorchRuntime, tmp_path: Path
) -> None:
    graph = shutil.copytree(onnx_export.folder / "genai/cpu-int8", tmp_path / "genai") / "model.onnx"
    assert next(file_checks(graph)).passed
    data = graph.with_name("model.onnx.data")
    data.write_bytes(data.read_bytes()[:-4096])
    (check,) = file_checks(graph)
    assert not check.passed and "the graph asks for" in check.detail
    data.unlink()
    (check,) = file_checks(graph)
    assert not check.passed and "not beside it" in check.detail
    graph.write_bytes(graph.read_bytes()[:1000])
    (check,) = file_checks(graph)
    assert not check.passed and "no whole graph" in check.detail


def test_a_graph_that_does_not_load_fails_the_run_and_hides_no_other(
    onnx_export: OnnxExport, export: Path, tmp_path: Path
) -> None:
    shutil.copyfile(onnx_export.folder / "onnx/model_quantized.onnx", export / "onnx/model_quantized.onnx")
    data = (export / GRAPH).read_bytes()
    (export / GRAPH).write_bytes(data[: len(data) // 2])
    with pytest.raises(GateError, match=r"loads: .*does not load it"):
        verify(export, onnx_export.checkpoint, tmp_path, gates={"int8": LOOSE["int8"]})
    report = json.loads((tmp_path / "scratch/verify.json").read_text("utf-8"))
    broken, sound = report["files"]
    assert [check["name"] for check in broken["checks"]] == ["loads", "external data"]
    assert sound["agreement"]["mean_kl"] < 1e-2 and sound["passed"]

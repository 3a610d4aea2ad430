"""ONNX exports: that they are the checkpoint, in the layout that the Hub's users expect, and what is refused."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from exported_onnx import OnnxExport
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config, SmolLM3Config

from zoo.errors import ExportError, ModelError
from zoo.exports.onnx import convert, layout, run
from zoo.formats import onnx_files
from zoo.metrics import Agreement, agreement, divergence
from zoo.records import StageContext
from zoo.schema import ONNXSpec
from zoo.serving import OnnxRuntime, open_onnx, open_torch

CHAT = [{"role": "user", "content": "Set an alarm for 7:30. Turn on Bluetooth."}]
PORTABLE = ("fp32", "fp16", "int8", "int4")
# Distance to torch in nats that each variant may have on a lively random model, which is undecided everywhere.
KL = {"fp32": 1e-9, "fp16": 1e-6, "int8": 1e-3, "int4": 0.1}


def compared(checkpoint: Path, runtime: OnnxRuntime) -> Agreement:
    with open_torch(checkpoint) as reference:
        ids = reference.encode(CHAT)
        found = divergence(reference.logits(ids[:-1]), runtime.logits(ids[:-1]), ids[1:])
    return agreement([found])


def graph(export: Path, variant: str) -> Path:
    return export / onnx_files.FILES[variant]


@pytest.mark.parametrize("variant", PORTABLE)
def test_every_variant_is_the_checkpoint_in_plain_onnx_runtime(onnx_export: OnnxExport, variant: str) -> None:
    with open_onnx(graph(onnx_export.folder, variant), threads=1) as runtime:
        found = compared(onnx_export.checkpoint, runtime)
    assert found.mean_kl < KL[variant]
    assert variant.startswith("int") or found.top1.value >= 0.95


def test_precision_falls_as_the_files_get_smaller(onnx_export: OnnxExport) -> None:
    far = {}
    for variant in PORTABLE:
        with open_onnx(graph(onnx_export.folder, variant), threads=1) as runtime:
            far[variant] = compared(onnx_export.checkpoint, runtime).mean_kl
    assert far["fp32"] < far["fp16"] < far["int8"] < far["int4"]
    sizes = [onnx_export.notes[variant]["bytes"] for variant in PORTABLE]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < sizes[0] / 3


@pytest.mark.parametrize("variant", PORTABLE)
def test_a_row_padded_on_the_left_is_what_it_is_alone(onnx_export: OnnxExport, variant: str) -> None:
    with open_onnx(graph(onnx_export.folder, variant), threads=1) as runtime:
        long = runtime.encode(CHAT)
        alone = [runtime.logits(ids) for ids in (long, long[:7])]
        batch = [logits for logits, _ in runtime.padded([long, long[:7]])]
    tolerance = 0.25 if variant == "fp16" else 1e-3
    for one, other in zip(alone, batch, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() < tolerance


@pytest.mark.parametrize("variant", PORTABLE)
def test_names_and_sizes_are_what_hub_users_expect(onnx_export: OnnxExport, variant: str) -> None:
    model = onnx.load(str(graph(onnx_export.folder, variant)))
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    total = "past_sequence_length + sequence_length"
    expected = {
        "input_ids": ["batch_size", "sequence_length"],
        "attention_mask": ["batch_size", total],
        "position_ids": ["batch_size", "sequence_length"],
        "logits": ["batch_size", "sequence_length", 675],
    }
    for layer in (0, 1):
        for part in ("key", "value"):
            expected[f"past_key_values.{layer}.{part}"] = ["batch_size", 2, "past_sequence_length", 16]
            expected[f"present.{layer}.{part}"] = ["batch_size", 2, total, 16]
    assert shapes == expected


def test_the_record_states_opset_operators_and_bits(onnx_export: OnnxExport) -> None:
    notes = onnx_export.notes
    assert notes["fp32"]["opsets"] == notes["fp16"]["opsets"] == {"ai.onnx": 20}
    assert notes["int8"]["opsets"] == {"ai.onnx": 20, "com.microsoft": 1}
    assert not any(":" in operator for operator in notes["fp32"]["operators"])
    assert notes["int8"]["weight_bits"] == {"8": 16}
    assert notes["int4"]["weight_bits"] == {"4": 14, "8": 2}
    assert all(one["shaped_values"] > one["nodes"] / 2 for one in notes.values())
    assert notes["fp32"]["exporter"] == "transformers" and notes["genai-int8"]["exporter"] == "genai"


def test_the_tied_embedding_lies_once_in_a_quantized_file(onnx_export: OnnxExport) -> None:
    model = onnx.load(str(graph(onnx_export.folder, "int8")))
    large = [tensor for tensor in model.graph.initializer if 675 in tensor.dims and len(tensor.dims) > 1]
    assert sorted(list(tensor.dims) for tensor in large) == [[675, 2], [675, 2, 32]]
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT}


def test_nothing_in_the_files_names_this_machine(onnx_export: OnnxExport) -> None:
    files = [file for file in onnx_export.folder.rglob("*") if file.is_file()]
    assert len(files) > 10
    for file in files:
        data = file.read_bytes()
        for trace in (b"site-packages", str(onnx_export.folder.parent.parent).encode(), b"modeling_llama"):
            assert trace not in data, f"{file} names {trace!r}"


def test_the_small_files_say_what_browsers_and_transformers_4_read(onnx_export: OnnxExport) -> None:
    def read(name: str) -> dict[str, Any]:
        return json.loads((onnx_export.folder / name).read_text("utf-8"))

    assert read("tokenizer_config.json")["chat_template"] == (onnx_export.folder / "chat_template.jinja").read_text(
        "utf-8"
    )
    assert read("tokenizer_config.json")["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert read("config.json")["rope_theta"] == 100_000.0
    assert read("config.json")["transformers.js_config"] == {"kv_cache_dtype": {"fp16": "float16"}}
    assert read("generation_config.json")["eos_token_id"]


def test_large_weights_lie_beside_the_graph_where_browsers_look(onnx_export: OnnxExport, tmp_path: Path) -> None:
    import onnx_ir

    export = tmp_path / "export"
    target = graph(export, "fp32")
    layout.save(onnx_ir.load(graph(onnx_export.folder, "fp32")), target, inline_bytes=0)
    layout.write_descriptions(onnx_export.checkpoint, export)
    assert sorted(file.name for file in target.parent.iterdir()) == ["model.onnx", "model.onnx_data"]
    assert onnx_files.size(target) > 100_000 > target.stat().st_size
    settings = json.loads((export / "config.json").read_text("utf-8"))["transformers.js_config"]
    assert settings["use_external_data_format"] == {"model.onnx": 1}
    with open_onnx(target, threads=1) as runtime:
        assert compared(onnx_export.checkpoint, runtime).mean_kl < 1e-9


def test_an_export_over_an_earlier_one_leaves_no_data_behind(onnx_export: OnnxExport, tmp_path: Path) -> None:
    import onnx_ir

    source, target = graph(onnx_export.folder, "fp32"), graph(tmp_path, "fp32")
    layout.save(onnx_ir.load(source), target, inline_bytes=0)
    layout.save(onnx_ir.load(source), target)
    assert [file.name for file in target.parent.iterdir()] == ["model.onnx"]


def test_the_exporter_of_torch_gives_the_same_graph_to_its_users(onnx_export: OnnxExport, tmp_path: Path) -> None:
    notes = convert(onnx_export.checkpoint, tmp_path, "fp32", exporter="torch")
    assert notes["exporter"] == "torch" and notes["opsets"].keys() == {"ai.onnx"}
    with open_onnx(graph(onnx_export.folder, "fp32"), 1) as one, open_onnx(graph(tmp_path, "fp32"), 1) as other:
        assert one.inputs.keys() == other.inputs.keys() and one.outputs.keys() == other.outputs.keys()
        ids = one.encode(CHAT)
        assert np.abs(one.logits(ids) - other.logits(ids)).max() < 1e-3
        assert np.abs(other.padded([ids, ids[:5]])[1][0] - other.logits(ids[:5])).max() < 1e-3
    # Its tied head is found and shared as well.
    quantized = convert(onnx_export.checkpoint, tmp_path, "int8", exporter="torch")
    assert quantized["weight_bits"] == {"8": 16}


def test_the_folder_for_genai_is_whole_and_says_its_threads(onnx_export: OnnxExport) -> None:
    folder = graph(onnx_export.folder, "genai-int8").parent
    settings = json.loads((folder / "genai_config.json").read_text("utf-8"))
    assert settings["model"]["decoder"]["session_options"]["intra_op_num_threads"] == 2
    assert json.loads((folder / "tokenizer_config.json").read_text("utf-8"))["chat_template"]
    model = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    caches = [value for value in model.graph.input if value.name.startswith("past_key_values.")]
    assert len(caches) == 4
    for value in caches:
        dims = value.type.tensor_type.shape.dim
        assert (dims[1].dim_value, dims[3].dim_value) == (2, 16)
    assert not list(folder.parent.glob(".*"))


def context(checkpoint: Path, tmp_path: Path) -> StageContext:
    for name in ("out", "scratch"):
        (tmp_path / name).mkdir()
    return StageContext(
        tmp_path / "out", tmp_path / "scratch", {"model": checkpoint}, seed=0, log=logging.getLogger("test")
    )


def test_the_stage_keeps_only_the_variants_that_were_asked_for(onnx_export: OnnxExport, tmp_path: Path) -> None:
    ctx = context(onnx_export.checkpoint, tmp_path)
    # As a stage that was killed after tracing finds it.
    traced = graph(ctx.scratch / "traced", "fp32")
    traced.parent.mkdir(parents=True)
    shutil.copyfile(graph(onnx_export.folder, "fp32"), traced)
    result = run(ONNXSpec(model="stage:grpo", variants=("int4", "int8")), ctx)
    assert [row["variant"] for row in result.notes["files"]] == ["int8", "int4"]
    assert onnx_files.find(ctx.out).keys() == {"int8", "int4"}
    assert result.metrics["int8.bytes"].value == onnx_export.notes["int8"]["bytes"]
    assert result.metrics["int8.seconds"].value > 0
    assert "images" not in result.notes


def with_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = json.loads((folder / "config.json").read_text("utf-8"))
        (folder / "config.json").write_text(json.dumps(data | changes), "utf-8")

    return change


def with_value(name: str, value: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors[name][3, 4] = value
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return change


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(kept: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: int(len(data) * kept)])

    return change


UP = "model.layers.1.mlp.up_proj.weight"
BAD: dict[str, tuple[Callable[[Path], None], str, type[Exception], str]] = {
    "an unknown variant": (with_config(), "q2", ExportError, "no ONNX variant 'q2'.*genai-int8"),
    "an unknown architecture": (with_config(architectures=["MambaForCausalLM"]), "fp32", ExportError, "MambaFor"),
    "a quantized checkpoint": (with_config(quantization_config={"a": 1}), "fp32", ExportError, "already quantized"),
    "sliding windows": (with_config(use_sliding_window=True), "fp32", ExportError, "sliding-window"),
    "NaN": (with_value(UP, float("nan")), "fp32", ModelError, "up_proj.weight holds NaN"),
    "beyond float16": (with_value(UP, 1e6), "fp16", ExportError, "beyond float16"),
    "no tokenizer": (without("tokenizer.json"), "int8", ModelError, "tokenizer"),
    "no tokenizer settings": (without("tokenizer_config.json"), "fp16", ModelError, r"no tokenizer_config\.json"),
    "a template that does not compile": (
        lambda folder: (folder / "chat_template.jinja").write_text("{% for m in messages %}", "utf-8"),
        "int8", ModelError, "chat template",
    ),
    "a smaller vocabulary than the tokenizer's": (
        with_config(vocab_size=600), "fp32", ExportError, "last token is 674.*600 rows",
    ),
    "a larger vocabulary than the embedding": (
        with_config(vocab_size=700), "fp32", ModelError, r"embed_tokens.weight has \(675, 64\), not \(700, 64\)",
    ),
    "truncated weights": (cut(0.7), "int4", ModelError, "truncated"),
    "foreign weights": (cut(0.0), "fp32", ModelError, "truncated or no safetensors"),
    "a head that is not there": (
        with_config(tie_word_embeddings=False), "fp32", ModelError, r"lacks 1 tensors.*lm_head",
    ),
    "no weights for GenAI": (without("model.safetensors"), "genai-int8", ModelError, "safetensors only"),
    "NaN for GenAI": (with_value(UP, float("nan")), "genai-int4", ModelError, "up_proj.weight holds NaN"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error_and_no_graph_is_left(tiny_llama: Path, tmp_path: Path, case: str) -> None:
    change, variant, error, message = BAD[case]
    checkpoint = shutil.copytree(tiny_llama, tmp_path / "model")
    change(checkpoint)
    with pytest.raises(error, match=message):
        convert(checkpoint, tmp_path / "export", variant)
    assert not [file for file in tmp_path.glob("export/**/*") if file.is_file()]


def test_genai_is_refused_for_a_vision_model_before_anything_runs(tiny_vlm: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no genai-int8 for Qwen2_5_VL.*three axes"):
        convert(tiny_vlm, tmp_path, "genai-int8")


def test_a_width_that_a_block_does_not_divide_is_refused(onnx_export: OnnxExport) -> None:
    from zoo.exports.onnx.quantize import quantize

    model = onnx.load(str(graph(onnx_export.folder, "fp32")))
    first = next(node for node in model.graph.node if node.op_type == "MatMul" and "val" in node.input[1])
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == first.input[1])
    weight.CopyFrom(onnx.numpy_helper.from_array(np.zeros((96, 64), np.float32), weight.name))
    with pytest.raises(ExportError, match="sums over 96 values, no multiple of 64"):
        quantize(model, "int4")


def random_checkpoint(config: Any, tokenizer: Path, folder: Path) -> Path:
    shutil.copytree(tokenizer, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if "bias" in name:
            torch.nn.init.normal_(parameter, std=0.5)
        elif "proj" in name:
            torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(folder)
    return folder


SIZES: dict[str, Any] = {
    "vocab_size": 704, "hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "eos_token_id": 2, "pad_token_id": 2, "bos_token_id": 1,
}  # fmt: skip
OTHERS = {
    "llama with biases, head of its own": lambda: LlamaConfig(
        **SIZES, attention_bias=True, mlp_bias=True, tie_word_embeddings=False
    ),
    "qwen2": lambda: Qwen2Config(**SIZES, tie_word_embeddings=False),
    "qwen3": lambda: Qwen3Config(**SIZES, head_dim=64, tie_word_embeddings=True),
    "smollm3": lambda: SmolLM3Config(**SIZES, no_rope_layers=[1, 1, 0], tie_word_embeddings=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures_are_the_checkpoint_too(tiny_llama: Path, tmp_path: Path, name: str) -> None:
    checkpoint = random_checkpoint(OTHERS[name](), tiny_llama, tmp_path / "model")
    for variant in ("fp32", "int8"):
        convert(checkpoint, tmp_path / "export", variant)
        with open_onnx(graph(tmp_path / "export", variant), threads=1) as runtime:
            assert compared(checkpoint, runtime).mean_kl < KL[variant]
            ids = runtime.encode(CHAT)
            assert np.abs(runtime.padded([ids, ids[:6]])[1][0] - runtime.logits(ids[:6])).max() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("exporter", ["transformers", "torch"])
def test_the_text_side_of_a_vision_model_is_exported_as_a_text_model(
    tiny_vlm: Path, tmp_path: Path, exporter: str
) -> None:
    ctx = context(tiny_vlm, tmp_path)
    result = run(ONNXSpec(model="stage:grpo", variants=("fp32",), exporter=exporter), ctx)
    assert "Images are not part" in result.notes["images"]
    config = json.loads((ctx.out / "config.json").read_text("utf-8"))
    assert (config["model_type"], config["architectures"]) == ("qwen2", ["Qwen2ForCausalLM"])
    with open_onnx(graph(ctx.out, "fp32"), threads=1) as runtime:
        assert runtime.inputs["position_ids"].shape == ["batch_size", "sequence_length"]
        assert compared(tiny_vlm, runtime).mean_kl < 1e-9

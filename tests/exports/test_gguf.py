"""GGUF files: what is in them, that they are the checkpoint, and what is refused without leaving anything behind."""

import json
import logging
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gguf_distance import distance
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen3Config

from zoo.action_grammar import GRAMMAR_KEY, grammar_files
from zoo.errors import ExportError, ModelError
from zoo.exports.gguf import Labels, Options, convert, file_name, run
from zoo.formats import gguf_header
from zoo.records import Metric, StageContext, StageRecord
from zoo.schema import AgentSpec, GGUFSpec
from zoo.serving import open_gguf, open_torch
from zoo.verify.gguf_structure import checks

# Distance to torch in nats that each type may have on a lively random model, whose logits are large.
KL = {"f32": 1e-9, "f16": 1e-5, "bf16": 1e-3, "q8_0": 1e-2}


def other_architecture(name: str, checkpoint: Path, folder: Path) -> Path:
    """A random checkpoint of another architecture with the tokenizer of `checkpoint`, biases and norms not neutral."""
    shutil.copytree(checkpoint, folder)
    sizes: dict[str, Any] = {
        "vocab_size": 704, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 3,
        "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 512, "eos_token_id": 2,
    }  # fmt: skip
    configs = {
        "llama with biases": lambda: LlamaConfig(**sizes, attention_bias=True, mlp_bias=True),
        "qwen2": lambda: Qwen2Config(**sizes, tie_word_embeddings=False),
        "qwen3": lambda: Qwen3Config(**sizes, head_dim=32, tie_word_embeddings=True),
    }
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(configs[name]())
    for key, parameter in model.named_parameters():
        if "bias" in key:
            torch.nn.init.normal_(parameter, std=0.5)
        elif "norm" in key:
            torch.nn.init.normal_(parameter, mean=1.0, std=0.3)
        elif "proj" in key:
            torch.nn.init.normal_(parameter, std=0.15)
    for file in folder.glob("*.safetensors"):
        file.unlink()
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("type_", ["f32", "f16", "bf16", "q8_0"])
def test_a_file_is_the_checkpoint_as_far_as_its_type_allows(lively: Path, tmp_path: Path, type_: str) -> None:
    notes = convert(lively, tmp_path / file_name(type_), type_)
    assert distance(lively, tmp_path / file_name(type_)) < KL[type_]
    assert notes["tensor_types"] == ({"F32": 20} if type_ == "f32" else {"F32": 5, type_.upper(): 15})
    assert notes["bytes"] == (tmp_path / notes["file"]).stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == [file_name(type_)]


def test_bits_per_weight_are_those_of_the_bytes_written(lively: Path, tmp_path: Path) -> None:
    notes = convert(lively, tmp_path / "model.gguf", "q8_0")
    header = gguf_header.read(tmp_path / "model.gguf")
    in_q8_0 = sum(np.prod(tensor.shape) for tensor in header.tensors if len(tensor.shape) == 2)
    rest = notes["parameters"] - in_q8_0
    assert notes["bits_per_weight"] == pytest.approx((in_q8_0 * 8.5 + rest * 32) / notes["parameters"], abs=1e-3)


@pytest.mark.parametrize("name", ["llama with biases", "qwen2", "qwen3"])
def test_every_text_architecture_computes_what_torch_computes(tiny_vlm: Path, tmp_path: Path, name: str) -> None:
    folder = other_architecture(name, tiny_vlm, tmp_path / "model")
    convert(folder, tmp_path / "model.gguf", "f32")
    assert distance(folder, tmp_path / "model.gguf") < 1e-9


def test_the_language_model_of_a_vision_language_model_computes_what_torch_computes(
    tiny_vlm: Path, tmp_path: Path
) -> None:
    """Up to llama.cpp's own fault: it takes 0 for this norm epsilon, which is nothing beside large activations."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_vlm, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"] *= 50
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    convert(folder, tmp_path / "model.gguf", "f32")
    assert distance(folder, tmp_path / "model.gguf") < 1e-7
    header = gguf_header.read(tmp_path / "model.gguf")
    assert header.metadata["general.architecture"] == "qwen2vl"
    assert header.metadata["qwen2vl.rope.dimension_sections"] == [2, 3, 3, 0]
    assert not any("v.blk" in tensor.name or "visual" in tensor.name for tensor in header.tensors)


def test_transformers_reads_the_same_weights_back(lively: Path, tmp_path: Path) -> None:
    """An independent reader, with its own idea of names and of the rotary reordering."""
    convert(lively, tmp_path / "model.gguf", "f32")
    expected = load_file(lively / "model.safetensors")
    found = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf", dtype=torch.float32).state_dict()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_metadata_is_complete(lively: Path, tmp_path: Path) -> None:
    labels = Labels("pocket-135m", "apache-2.0", "HuggingFaceTB/SmolLM2-135M-Instruct")
    convert(lively, tmp_path / "model.gguf", "f16", options=Options(labels))
    data = gguf_header.read(tmp_path / "model.gguf").metadata
    assert data["general.file_type"] == 1
    assert data["general.quantization_version"] == 2
    assert data["general.base_model.0.name"] == "SmolLM2-135M-Instruct"
    assert data["general.base_model.0.organization"] == "HuggingFaceTB"
    assert data["general.base_model.0.repo_url"] == "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct"
    assert (data["general.name"], data["general.license"]) == ("pocket-135m", "apache-2.0")
    assert data["llama.context_length"] == 4096
    assert data["llama.rope.freq_base"] == 100_000.0
    assert data["llama.attention.head_count_kv"] == 2
    assert data["tokenizer.ggml.pre"] == "smollm"
    assert (data["tokenizer.ggml.bos_token_id"], data["tokenizer.ggml.eos_token_id"]) == (1, 2)
    assert data["tokenizer.ggml.add_bos_token"] is False
    assert data["tokenizer.ggml.token_type"][:4] == [3, 3, 3, 1]
    assert data["tokenizer.chat_template"].encode() == (lively / "chat_template.jinja").read_bytes()


def test_shards_and_one_file_give_the_same_bytes(lively: Path, tmp_path: Path) -> None:
    model = LlamaForCausalLM.from_pretrained(lively)
    sharded = tmp_path / "sharded"
    shutil.copytree(lively, sharded, ignore=shutil.ignore_patterns("*.safetensors"))
    model.save_pretrained(sharded, max_shard_size="100KB")
    assert len(list(sharded.glob("*.safetensors"))) > 2
    notes = [convert(folder, tmp_path / f"{folder.name}.gguf", "q8_0") for folder in (lively, sharded)]
    tensors = [
        {one.name: data[one.offset : one.offset + one.bytes] for one in gguf_header.read(file).tensors}
        for file in (tmp_path / f"{lively.name}.gguf", tmp_path / "sharded.gguf")
        if (data := file.read_bytes())
    ]
    assert tensors[0] == tensors[1]
    assert notes[0]["tensor_types"] == notes[1]["tensor_types"]
    next(iter(sharded.glob("*-00002-*.safetensors"))).unlink()
    with pytest.raises(ModelError, match=r"no model-00002"):
        convert(sharded, tmp_path / "sharded.gguf", "q8_0")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_weights_stay_exact(lively: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    folder = tmp_path / "model"
    shutil.copytree(lively, folder)
    halves = {name: tensor.to(dtype) for name, tensor in load_file(lively / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    convert(folder, tmp_path / "model.gguf", "f32")
    assert distance(folder, tmp_path / "model.gguf") < 1e-9


def test_rows_that_are_no_multiple_of_32_fall_back_and_are_counted(tiny_vlm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_vlm, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = LlamaConfig(
        vocab_size=687, hidden_size=80, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, eos_token_id=2, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    notes = convert(folder, tmp_path / "model.gguf", "q8_0")
    assert notes["tensor_types"] == {"F16": 13, "F32": 5, "Q8_0": 2}
    assert notes["bits_per_weight"] > 12
    assert distance(folder, tmp_path / "model.gguf") < 1e-5


def test_a_head_that_is_tied_is_written_once_even_if_it_was_stored_twice(lively: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(lively, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = torch.randn_like(tensors["model.embed_tokens.weight"])
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    notes = convert(folder, tmp_path / "model.gguf", "f32")
    assert notes["tensor_types"] == {"F32": 20}


def test_memory_is_a_small_multiple_of_the_largest_tensor(tiny_llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = LlamaConfig.from_pretrained(
        tiny_llama, hidden_size=256, intermediate_size=512, num_hidden_layers=32, head_dim=64
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    convert(tiny_llama, tmp_path / "warm.gguf", "q8_0")  # imports and the tokenizer
    tracemalloc.start()
    convert(folder, tmp_path / "model.gguf", "q8_0")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    model, largest = (folder / "model.safetensors").stat().st_size, 675 * 256 * 4
    assert model > 70_000_000
    assert peak < 8 * largest < model / 10


def edited(checkpoint: Path, folder: Path, change: Callable[[Path], None]) -> Path:
    shutil.copytree(checkpoint, folder)
    change(folder)
    return folder


def set_json(name: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = json.loads((folder / name).read_text("utf-8"))
        (folder / name).write_text(json.dumps(data | values), "utf-8")

    return change


def set_tensor(name: str, change_to: Callable[[torch.Tensor], torch.Tensor | None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        changed = change_to(tensors.pop(name))
        if changed is not None:
            tensors[name] = changed
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return change


def cut(name: str, kept: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * kept)])

    return change


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def written(name: str, data: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def spoiled(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor[3, 4] = value
        return tensor

    return change


BAD = {
    "truncated weights": (cut("model.safetensors", 0.7), ModelError, "truncated"),
    "truncated header": (cut("model.safetensors", 0.001), ModelError, "truncated|header"),
    "foreign weights": (written("model.safetensors", b"PK\x03\x04" + b"\0" * 999), ModelError, "header|truncated"),
    "pickled weights": (removed("model.safetensors"), ModelError, "safetensors only"),
    "no config": (removed("config.json"), ModelError, r"no config\.json"),
    "no tokenizer": (removed("tokenizer.json"), ModelError, r"no tokenizer\.json"),
    "a tokenizer that is none": (written("tokenizer.json", b"[]"), ModelError, "no tokenizer"),
    "NaN": (set_tensor("model.layers.1.mlp.up_proj.weight", spoiled(float("nan"))), ModelError, "up_proj.*NaN"),
    "infinity": (set_tensor("model.embed_tokens.weight", spoiled(float("inf"))), ModelError, "embed_tokens.*infinity"),
    "beyond float16": (set_tensor("model.embed_tokens.weight", spoiled(1e5)), ExportError, r"1e\+05, beyond float16"),
    "a missing tensor": (set_tensor("model.layers.1.mlp.up_proj.weight", lambda _: None), ModelError, "blk.1.ffn_up"),
    "a missing head": (set_json("config.json", tie_word_embeddings=False), ModelError, r"output\.weight"),
    "a foreign tensor": (
        lambda folder: save_file(
            {**load_file(folder / "model.safetensors"), "model.extra": torch.zeros(2)}, folder / "model.safetensors"
        ), ExportError, r"no tensor for model\.extra",
    ),
    "a smaller vocabulary than the tokenizer's": (
        lambda folder: (
            set_json("config.json", vocab_size=600)(folder),
            set_tensor("model.embed_tokens.weight", lambda rows: rows[:600].clone())(folder),
        ), ExportError, "last token is 674.*600 rows",
    ),
    "an embedding of another size than the config says": (
        set_json("config.json", vocab_size=700), ModelError, "says 700 tokens, the embedding has 675",
    ),
    "an unknown architecture": (set_json("config.json", architectures=["BloomForCausalLM"]), ExportError, "Qwen3For"),
    "stretched rotary positions": (
        set_json("config.json", rope_parameters={"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}),
        ExportError, "'yarn'",
    ),
    "a quantized checkpoint": (
        set_json("config.json", quantization_config={"quant_method": "bitsandbytes"}), ExportError, "already quantized",
    ),
    "a template that does not compile": (
        written("chat_template.jinja", b"{% for m in messages %}"), ModelError, "chat template",
    ),
    "an unknown splitting rule": (
        set_json("tokenizer.json", pre_tokenizer={"type": "Whitespace"}), ExportError, "Whitespace.*smollm",
    ),
    "an unknown normalizer": (set_json("tokenizer.json", normalizer={"type": "Lowercase"}), ExportError, "Lowercase"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error_and_nothing_is_left(tiny_llama: Path, tmp_path: Path, case: str) -> None:
    change, error, message = BAD[case]
    folder = edited(tiny_llama, tmp_path / "model", change)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(error, match=message):
        convert(folder, out / "model.gguf", "f16")
    assert list(out.iterdir()) == []


def test_what_cannot_be_written_is_one_clear_error(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be written"):
        convert(tiny_llama, tmp_path / "absent" / "model.gguf", "f16")
    with pytest.raises(ExportError, match="no GGUF type 'q3_k'"):
        convert(tiny_llama, tmp_path / "model.gguf", "q3_k")


def test_an_earlier_file_survives_a_failure(tiny_llama: Path, tmp_path: Path) -> None:
    convert(tiny_llama, tmp_path / "model.gguf", "f16")
    before = (tmp_path / "model.gguf").read_bytes()
    broken = edited(tiny_llama, tmp_path / "model", set_tensor("model.norm.weight", lambda norm: norm * float("nan")))
    with pytest.raises(ModelError, match="NaN"):
        convert(broken, tmp_path / "model.gguf", "f16")
    assert (tmp_path / "model.gguf").read_bytes() == before


def test_three_stop_tokens_have_a_place_each(tiny_llama: Path, tmp_path: Path) -> None:
    folder = edited(tiny_llama, tmp_path / "model", set_json("generation_config.json", eos_token_id=[0, 2, 300]))
    convert(folder, tmp_path / "model.gguf", "f16")
    data = gguf_header.read(tmp_path / "model.gguf").metadata
    assert [data[f"tokenizer.ggml.{name}_token_id"] for name in ("eos", "eot", "eom")] == [2, 0, 300]
    set_json("generation_config.json", eos_token_id=[0, 2, 300, 301])(folder)
    with pytest.raises(ExportError, match=r"ends at 4 tokens \(\[2, 0, 300, 301\]\), GGUF names 3"):
        convert(folder, tmp_path / "model.gguf", "f16")


def test_recommended_sampling_is_told_where_the_checkpoint_samples(tiny_llama: Path, tmp_path: Path) -> None:
    advice = {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05}
    folder = edited(tiny_llama, tmp_path / "model", set_json("generation_config.json", **advice))
    convert(folder, tmp_path / "model.gguf", "f16")
    data = gguf_header.read(tmp_path / "model.gguf").metadata
    told = {key: value for key, value in data.items() if key.startswith("general.sampling.")}
    assert told == pytest.approx({
        "general.sampling.temp": 0.7, "general.sampling.top_k": 20, "general.sampling.top_p": 0.8,
        "general.sampling.penalty_repeat": 1.05,
    })  # fmt: skip
    set_json("generation_config.json", do_sample=False)(folder)
    convert(folder, tmp_path / "model.gguf", "f16")
    assert not any("sampling" in key for key in gguf_header.read(tmp_path / "model.gguf").metadata)
    set_json("generation_config.json", do_sample=True, temperature="warm")(folder)
    with pytest.raises(ModelError, match="no generation settings"):
        convert(folder, tmp_path / "model.gguf", "f16")


def test_a_disk_without_room_is_known_before_the_first_byte(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(ExportError, match=r"needs \d+ MiB, 0 MiB are free"):
        convert(tiny_llama, tmp_path / "model.gguf", "f32")
    assert list(tmp_path.iterdir()) == []


def context(model: Path, out: Path, **more: Any) -> StageContext:
    out.mkdir()
    return StageContext(out, out.parent, {"model": model}, seed=0, log=logging.getLogger("test"), **more)


def test_the_stage_writes_one_file_per_type_and_says_what_they_are(tiny_llama: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    made_of = StageRecord(
        "sft", "sft", 1, "key", {}, {"model": "HuggingFaceTB/SmolLM2-135M-Instruct@abc", "data": "stage:x"}, 0,
        {}, {}, {}, {}, {}, "", 0.0, 0,
    )  # fmt: skip
    ctx = context(
        tiny_llama,
        tmp_path / "out",
        lineage={"sft": made_of},
        progress=lambda step, total=None, **_: steps.append((step, total)),
    )
    result = run(GGUFSpec(model="stage:grpo", types=("f16", "q8_0")), ctx)
    assert sorted(file.name for file in ctx.out.iterdir()) == ["model-F16.gguf", "model-Q8_0.gguf"]
    assert result.metrics["q8_0.bytes"] == Metric((ctx.out / "model-Q8_0.gguf").stat().st_size, "bytes")
    assert 8.5 < result.metrics["q8_0.bits_per_weight"].value < 8.6
    assert [row["type"] for row in result.notes["files"]] == ["f16", "q8_0"]
    assert "images" not in result.notes
    assert steps[-1] == (20, 20) and len(steps) == 40
    name = gguf_header.read(ctx.out / "model-F16.gguf").metadata["general.base_model.0.name"]
    assert name == "SmolLM2-135M-Instruct"
    json.dumps(result.notes)


def test_the_grammar_of_the_agent_travels_in_the_file_and_beside_it(tiny_llama: Path, tmp_path: Path) -> None:
    agent = AgentSpec(style="terse", answer_tokens=16)
    result = run(GGUFSpec(model="stage:grpo", types=("f16",), agent=agent), context(tiny_llama, tmp_path / "out"))
    names = ["action.gbnf", "action.schema.json"]
    assert result.notes["grammar"] == names
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [*names, "model-F16.gguf"]
    inside = gguf_header.read(tmp_path / "out/model-F16.gguf").metadata[GRAMMAR_KEY]
    assert inside == (tmp_path / "out/action.gbnf").read_text("utf-8") == grammar_files(agent)["action.gbnf"]
    with open_torch(tiny_llama) as reference:
        for expected in (True, False):
            with open_gguf(tmp_path / "out/model-F16.gguf", threads=1, context=64) as candidate:
                (check,) = (one for one in checks(reference, candidate) if one.name == "action grammar")
            assert check.passed is expected
            (tmp_path / "out/action.gbnf").write_text('root ::= "yes"\n', "utf-8")


def test_the_stage_writes_the_vision_tower_and_the_adapter_beside(tiny_vlm: Path, tmp_path: Path) -> None:
    result = run(GGUFSpec(model="stage:grpo", types=("f16",)), context(tiny_vlm, tmp_path / "out"))
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["mmproj-F16.gguf", "model-F16.gguf"]
    assert "--mmproj" in result.notes["images"]
    assert result.notes["mmproj"]["tensor_types"]["F16"] > 0
    with pytest.raises(ExportError, match="holds no adapter"):
        run(GGUFSpec(model="stage:grpo", types=("f16",), adapter=True), context(tiny_vlm, tmp_path / "again"))
    json.dumps(result.notes)


def test_the_stage_says_that_images_are_not_part_of_the_file(tiny_vlm: Path, tmp_path: Path) -> None:
    result = run(GGUFSpec(model="stage:grpo", types=("f16",), mmproj=None), context(tiny_vlm, tmp_path / "out"))
    assert "not images" in result.notes["images"]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model-F16.gguf"]

"""A checkpoint folder says what it is, is whole or refused, and reads the same in transformers 4 and 5."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo import checkpoint
from zoo.errors import ModelError


def config(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return read


def test_the_small_files_say_what_it_is(tiny_llama: Path, tiny_vlm: Path) -> None:
    assert checkpoint.facts(tiny_llama) == checkpoint.CheckpointFacts("llama", 4096, sees_images=False)
    assert checkpoint.facts(tiny_vlm) == checkpoint.CheckpointFacts("qwen2_5_vl", 4096, sees_images=True)


def test_every_tensor_is_known_from_the_headers(tiny_llama: Path) -> None:
    from transformers import AutoModelForCausalLM

    found = checkpoint.tensors(tiny_llama)
    state = AutoModelForCausalLM.from_pretrained(tiny_llama).state_dict()
    assert found.keys() == state.keys() - {"lm_head.weight"}
    assert all(found[name].shape == tuple(state[name].shape) and found[name].dtype == "F32" for name in found)


def test_what_transformers_4_reads_is_said_in_its_words(tiny_llama: Path, tiny_vlm: Path) -> None:
    llama, vision = config(tiny_llama), config(tiny_vlm)
    assert llama["rope_theta"] == llama["rope_parameters"]["rope_theta"] == 100_000.0
    assert "rope_scaling" not in llama
    assert llama["torch_dtype"] == llama["dtype"] == "float32"
    assert vision["text_config"]["rope_theta"] == 1_000_000.0
    assert vision["text_config"]["rope_scaling"] == {"rope_type": "default", "mrope_section": [2, 3, 3]}
    for folder in (tiny_llama, tiny_vlm):
        tokenizer = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
        assert tokenizer["model_input_names"] == ["input_ids", "attention_mask"]
        assert tokenizer["additional_special_tokens"] and "extra_special_tokens" not in tokenizer
    images = json.loads((tiny_vlm / "preprocessor_config.json").read_text("utf-8"))
    assert images["image_processor_type"] == "Qwen2VLImageProcessor"


def test_saying_it_twice_changes_nothing_for_transformers_5(tmp_path: Path, tiny_vlm: Path) -> None:
    from transformers import AutoConfig

    plain = shutil.copytree(tiny_vlm, tmp_path / "plain")
    data = config(plain)
    del data["torch_dtype"], data["text_config"]["rope_theta"], data["text_config"]["rope_scaling"]
    (plain / "config.json").write_text(json.dumps(data), "utf-8")
    read, said_twice = (AutoConfig.from_pretrained(folder).to_dict() for folder in (plain, tiny_vlm))
    assert read.pop("_name_or_path") != said_twice.pop("_name_or_path")
    assert read == said_twice


def test_weights_are_readable_by_others(tiny_llama: Path) -> None:
    assert (tiny_llama / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_saving_again_adds_the_tokenizers_stop_token(tmp_path: Path, tiny_llama: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_llama), AutoTokenizer.from_pretrained(tiny_llama)
    model.generation_config.eos_token_id = 0
    checkpoint.save(model, tokenizer, tmp_path, "bfloat16")
    assert GenerationConfig.from_pretrained(tmp_path).eos_token_id == [0, tokenizer.eos_token_id]
    assert {tensor.dtype for tensor in checkpoint.tensors(tmp_path).values()} == {"BF16"}
    assert AutoModelForCausalLM.from_pretrained(tmp_path).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda data: data[:-1], "is cut off: it has"),
        (lambda data: data + b"x", "has more behind its end"),
        (lambda data: data[:4], "is no whole safetensors file"),
        (lambda data: b"", "is no whole safetensors file"),
        (lambda data: b"\xff" * 100, "is no whole safetensors file"),
        (lambda data: data[:8] + b"?" + data[9:], "is no whole safetensors file"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, tiny_llama: Path, harm: Any, words: str) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "harmed")
    file = folder / "model.safetensors"
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(ModelError, match=words):
        checkpoint.tensors(folder)


def test_a_missing_shard_is_told(tmp_path: Path, tiny_llama: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "sharded")
    listed = dict.fromkeys([*checkpoint.tensors(folder), "model.layers.9.x"], "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}), "utf-8")
    with pytest.raises(ModelError, match=r"lacks 1 tensors that its index lists, model\.layers\.9\.x"):
        checkpoint.tensors(folder)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no safetensors weights"):
        checkpoint.tensors(tmp_path)

"""A LoRA adapter as a file: llama.cpp lays it over the base's file and computes what the merged model computes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf_distance import distance
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from zoo.errors import ExportError
from zoo.exports.gguf import adapter, convert
from zoo.formats import gguf_header
from zoo.serving import open_gguf
from zoo.trainers.loading import ADAPTER_FOLDER


def trained(base: Path, folder: Path, **options: Any) -> Path:
    """What a training stage with LoRA leaves: the merged checkpoint, the adapter beside it."""
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(0)
    settings = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **options}
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**settings))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder / ADAPTER_FOLDER)
    model.merge_and_unload().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}], ids=["plain", "rank-stabilised"])
def test_base_and_adapter_are_the_merged_model(lively: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    folder = trained(lively, tmp_path / "trained", **options)
    convert(lively, tmp_path / "base.gguf", "f32")
    notes = adapter.convert(folder, tmp_path / "adapter-F16-LoRA.gguf")
    assert notes["rank"] == 4 and notes["tensor_types"] == {"F16": 28}
    assert distance(folder, tmp_path / "base.gguf") > 1e-3
    assert distance(folder, tmp_path / "base.gguf", tmp_path / "adapter-F16-LoRA.gguf") < 1e-5


def test_the_file_says_that_it_is_an_adapter(lively: Path, tmp_path: Path) -> None:
    adapter.convert(trained(lively, tmp_path / "trained"), tmp_path / "adapter.gguf")
    data = gguf_header.read(tmp_path / "adapter.gguf").metadata
    assert (data["general.type"], data["adapter.type"], data["adapter.lora.alpha"]) == ("adapter", "lora", 8.0)
    assert data["general.architecture"] == "llama"


def test_llama_cpp_refuses_an_adapter_on_the_wrong_base(lively: Path, wide: Path, tmp_path: Path) -> None:
    adapter.convert(trained(lively, tmp_path / "trained"), tmp_path / "adapter.gguf")
    convert(wide, tmp_path / "wide.gguf", "f16")
    with (
        open_gguf(tmp_path / "wide.gguf", threads=1, context=64) as runtime,
        pytest.raises(ExportError, match="does not lay this adapter over wide"),
    ):
        runtime.apply_adapter(tmp_path / "adapter.gguf")


def set_config(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / ADAPTER_FOLDER / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | values), "utf-8")

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: shutil.rmtree(folder / ADAPTER_FOLDER), "holds no adapter"),
        (set_config(use_dora=True), "DoRA"),
        (set_config(modules_to_save=["lm_head"]), "whole modules"),
        (set_config(rank_pattern={"q_proj": 8}), "several ranks"),
        (set_config(bias="all"), "bias 'all'"),
        (set_config(peft_type="IA3"), "this is IA3"),
    ],
)
def test_what_llama_cpp_cannot_apply_is_refused(
    lively: Path, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    folder = trained(lively, tmp_path / "trained")
    change(folder)
    with pytest.raises(ExportError, match=message):
        adapter.convert(folder, tmp_path / "adapter.gguf")
    assert [file.name for file in tmp_path.iterdir()] == ["trained"]


def test_an_adapter_of_another_base_is_one_clear_message(lively: Path, wide: Path, tmp_path: Path) -> None:
    folder = trained(lively, tmp_path / "trained")
    shutil.copytree(wide, tmp_path / "wide")
    shutil.copytree(folder / ADAPTER_FOLDER, tmp_path / "wide" / ADAPTER_FOLDER)
    with pytest.raises(ExportError, match=r"lora_A.weight has the shape \(4, \d+\), the model's .*another base"):
        adapter.convert(tmp_path / "wide", tmp_path / "adapter.gguf")
    assert not (tmp_path / "adapter.gguf").exists()


def test_an_adapter_on_the_embedding_is_refused(lively: Path, tmp_path: Path) -> None:
    folder = trained(lively, tmp_path / "trained", target_modules=["embed_tokens", "q_proj"])
    with pytest.raises(ExportError, match=r"no place for .*embed_tokens"):
        adapter.convert(folder, tmp_path / "adapter.gguf")

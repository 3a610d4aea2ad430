"""Checkpoints that the tests of exports share."""

from pathlib import Path

import lively_model
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM


@pytest.fixture(scope="session")
def lively(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with rows of 64 and 128 values. Only read."""
    return lively_model.make(tiny_llama, tmp_path_factory.mktemp("lively") / "model")


@pytest.fixture(scope="session")
def wide(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of eight layers with rows of 256 and 512 values, as K-quants ask for. Only read."""
    folder = tmp_path_factory.mktemp("wide") / "model"
    config = LlamaConfig.from_pretrained(
        tiny_llama, hidden_size=256, intermediate_size=512, num_hidden_layers=8, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    for file in tiny_llama.iterdir():
        if not (folder / file.name).exists():
            (folder / file.name).write_bytes(file.read_bytes())
    return lively_model.make(folder, folder.with_name("lively"))

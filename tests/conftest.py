"""Tiny checkpoints that many tests load, made once a session."""

from pathlib import Path

import pytest

from zoo import tiny


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama in the shape of SmolLM2. Only read: it is shared by the whole session."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    tiny.make("llama", folder, seed=0)
    return folder


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Qwen2.5-VL with its image processor. Only read: it is shared by the whole session."""
    folder = tmp_path_factory.mktemp("tiny-vlm")
    tiny.make("qwen2_5_vl", folder, seed=0)
    return folder

"""Tiny checkpoints that many tests load, made once a session."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoo import tiny

if TYPE_CHECKING:
    import exported_onnx

# Before torch is imported: OpenMP's spinning threads make a tiny model ten times slower on shared cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


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


@pytest.fixture(scope="session")
def onnx_export(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> "exported_onnx.OnnxExport":
    """Made once a session, since tracing takes seconds. Only read."""
    import exported_onnx

    return exported_onnx.make(tiny_llama, tmp_path_factory.mktemp("onnx"))

"""One lively tiny model in both runtimes, opened once."""

from collections.abc import Iterator
from pathlib import Path

import lively_model
import pytest

from zoo.exports.gguf import convert
from zoo.serving import LlamaRuntime, TorchRuntime, open_gguf, open_torch


@pytest.fixture(scope="session")
def lively(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint. Only read."""
    return lively_model.make(tiny_llama, tmp_path_factory.mktemp("lively") / "model")


@pytest.fixture(scope="session")
def lively_file(lively: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as GGUF, in float32. Only read."""
    file = tmp_path_factory.mktemp("gguf") / "model-F32.gguf"
    convert(lively, file, "f32")
    return file


@pytest.fixture
def llama(lively_file: Path) -> Iterator[LlamaRuntime]:
    with open_gguf(lively_file, threads=1, context=2048, exact=True) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def torch_runtime(lively: Path) -> Iterator[TorchRuntime]:
    with open_torch(lively) as runtime:
        yield runtime

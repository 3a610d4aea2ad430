"""One lively tiny model and its exports, made once."""

from pathlib import Path

import lively_model
import pytest

from zoo.exports.gguf import convert


@pytest.fixture(scope="session")
def lively(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint. Only read."""
    return lively_model.make(tiny_llama, tmp_path_factory.mktemp("lively") / "model")


@pytest.fixture(scope="session")
def lively_files(lively: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with its exports. Only read."""
    folder = tmp_path_factory.mktemp("exports")
    convert(lively, folder / "model-F16.gguf", "f16")
    convert(lively, folder / "model-Q8_0.gguf", "q8_0")
    return folder

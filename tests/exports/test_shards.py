"""A model in several files: llama.cpp loads it by the first, and it is the same model."""

from pathlib import Path

import numpy as np
import pytest

from zoo.errors import ExportError
from zoo.exports.gguf import Options, convert
from zoo.formats import gguf_header, gguf_names
from zoo.serving import open_gguf

LIMIT = 100_000


@pytest.fixture
def split(lively: Path, tmp_path: Path) -> list[Path]:
    (tmp_path / "split").mkdir()
    notes = convert(lively, tmp_path / "split" / "model-F16.gguf", "f16", options=Options(shard_bytes=LIMIT))
    files = sorted((tmp_path / "split").iterdir())
    assert notes["shards"] == len(files) == 3
    assert notes["bytes"] == sum(file.stat().st_size for file in files)
    return files


def test_shards_are_named_as_llama_cpp_names_them_and_none_is_too_large(split: list[Path]) -> None:
    assert [file.name for file in split] == [f"model-F16-{number:05d}-of-00003.gguf" for number in (1, 2, 3)]
    assert gguf_names.shards(split[0]) == split
    for file in split[1:]:
        assert file.stat().st_size < LIMIT + 10_000


def test_llama_cpp_loads_the_first_and_computes_the_same(lively: Path, split: list[Path], tmp_path: Path) -> None:
    convert(lively, tmp_path / "whole.gguf", "f16")
    logits = []
    for file in (tmp_path / "whole.gguf", split[0]):
        with open_gguf(file, threads=1, context=128) as runtime:
            logits.append(runtime.logits([5, 6, 7, 8]))
    assert np.array_equal(*logits)
    whole, parts = gguf_header.read(tmp_path / "whole.gguf"), gguf_header.read(split[0])
    assert [tensor.name for tensor in whole.tensors] == [tensor.name for tensor in parts.tensors]
    assert whole.bits_per_weight == parts.bits_per_weight
    assert {tensor.file for tensor in parts.tensors} == set(split)


def test_a_missing_part_or_a_later_one_is_one_clear_error(split: list[Path]) -> None:
    with pytest.raises(ExportError, match="name the first"):
        gguf_header.read(split[1])
    split[2].unlink()
    with pytest.raises(ExportError, match=r"00003-of-00003\.gguf is missing"):
        gguf_header.read(split[0])


def test_a_file_below_the_limit_is_not_split(lively: Path, tmp_path: Path) -> None:
    notes = convert(lively, tmp_path / "model-F16.gguf", "f16", options=Options(shard_bytes=10**9))
    assert "shards" not in notes
    assert [file.name for file in tmp_path.iterdir()] == ["model-F16.gguf"]

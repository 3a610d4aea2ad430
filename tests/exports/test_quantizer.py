"""Quantized rows: the same bytes as others write, and near to what they were."""

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf_distance import distance

from zoo.exports.gguf import Options, convert, file_name
from zoo.exports.gguf.quantizer import GUIDED, quantize

# Relative error of rows of normally distributed values.
ERROR = {"Q8_0": 0.006, "Q6_K": 0.02, "Q5_K": 0.04, "Q5_1": 0.04, "Q5_0": 0.05, "Q4_K": 0.09, "Q4_1": 0.09, "Q4_0": 0.1}


def rows(count: int = 37, width: int = 512) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)


def read_back(data: np.ndarray, type_: str) -> np.ndarray:
    return gguf.quants.dequantize(data, gguf.GGMLQuantizationType[type_])


@pytest.mark.parametrize("type_", ERROR)
def test_quantized_rows_are_near_to_what_they_were(type_: str) -> None:
    values = rows()
    error = np.linalg.norm(read_back(quantize(values, type_), type_) - values) / np.linalg.norm(values)
    assert 0.2 * ERROR[type_] < error < ERROR[type_]


@pytest.mark.parametrize("type_", ["Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_llama_cpp_and_the_gguf_package_write_the_same_bytes(type_: str) -> None:
    values = rows()
    assert np.array_equal(quantize(values, type_), gguf.quants.quantize(values, gguf.GGMLQuantizationType[type_]))


def test_the_number_of_threads_does_not_change_a_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.abs(rows(1))[0]
    one = quantize(rows(), "Q4_K", weights)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert np.array_equal(quantize(rows(), "Q4_K", weights), one)


@pytest.mark.parametrize("type_", GUIDED)
def test_columns_that_matter_are_kept_better(type_: str) -> None:
    values = rows()
    weights = np.full(512, 1e-2, np.float32)
    weights[::8] = 10.0
    error = [
        np.square(read_back(quantize(values, type_, guide), type_) - values)[:, ::8].mean() for guide in (None, weights)
    ]
    assert error[1] < 0.9 * error[0]


def test_weights_of_another_width_are_a_bug_that_shows() -> None:
    with pytest.raises(ValueError, match="512"):
        quantize(rows(), "Q4_K", np.ones(256, np.float32))


@pytest.mark.parametrize(("type_", "kl"), [("q6_k", 0.02), ("q5_k_m", 0.04), ("q4_k_m", 0.08), ("q4_0", 0.15)])
def test_a_quantized_file_is_the_checkpoint_as_far_as_its_type_allows(
    wide: Path, tmp_path: Path, type_: str, kl: float
) -> None:
    notes = convert(wide, tmp_path / file_name(type_), type_)
    assert 1e-6 < distance(wide, tmp_path / file_name(type_)) < kl
    assert notes["bits_per_weight"] < {"q6_k": 6.8, "q5_k_m": 6.1, "q4_k_m": 5.3, "q4_0": 4.9}[type_]
    kinds = {"q6_k": {"Q6_K": 57}, "q5_k_m": {"Q5_K": 48, "Q6_K": 9}, "q4_k_m": {"Q4_K": 48, "Q6_K": 9}}
    assert notes["tensor_types"] == {"F32": 17, **kinds.get(type_, {"Q4_0": 56, "Q6_K": 1})}


def test_a_file_is_as_good_as_its_most_precise_pattern(wide: Path, tmp_path: Path) -> None:
    options = Options(tensors={"*": "f16"})
    notes = convert(wide, tmp_path / "model-Q4_0.gguf", "q4_0", options=options)
    assert notes["tensor_types"] == {"F16": 57, "F32": 17}
    assert distance(wide, tmp_path / "model-Q4_0.gguf") < 1e-5

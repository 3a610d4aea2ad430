"""Towers: what training changed is found by value, and a stock vision file beside a trained tower is refused."""

import re
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from zoo import towers
from zoo.errors import ModelError
from zoo.formats import vision, weights


def changed(source: Path, folder: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> Path:
    folder.mkdir()
    tensors = {name: change(name, value) for name, value in load_file(source / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def louder(words: str) -> Callable[[str, torch.Tensor], torch.Tensor]:
    return lambda name, value: value * 1.01 if re.search(words, name) else value


def mmproj(checkpoint: Path, file: Path, unknown: bool = False) -> Path:
    """A vision file as llama.cpp's converter cuts and names it."""
    writer = gguf.GGUFWriter(file, "clip")
    count = 0
    for tensor in vision.vision_tensors(weights.index(checkpoint), 2):
        values = tensor.load()
        stored = values.astype(np.float16) if values.ndim == 2 else values
        writer.add_tensor(f"x{count}" if unknown else tensor.name, stored)
        count += 1
    assert count > 15
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_each_tensor_is_in_one_tower(tiny_vlm: Path) -> None:
    found = {towers.tower_of(tensor.name) for tensor in weights.index(tiny_vlm)}
    assert found == set(towers.TOWERS)
    assert set(towers.digests(tiny_vlm)) == set(towers.TOWERS)


def test_a_language_model_has_one_tower(tiny_llama: Path) -> None:
    assert set(towers.digests(tiny_llama)) == {"language"}


def test_training_the_language_model_leaves_the_eyes_alone(tiny_vlm: Path, tmp_path: Path) -> None:
    trained = changed(tiny_vlm, tmp_path / "trained", louder(r"layers\.0\.self_attn"))
    found = towers.changes(tiny_vlm, trained)
    assert found.changed("language") and not found.changed("vision") and not found.changed("projector")
    data = found.as_data()
    assert 0 < data["language"]["changed"] < data["language"]["tensors"]
    assert data["vision"]["digest"] == towers.digests(tiny_vlm)["vision"]
    assert data["language"]["digest"] != towers.digests(tiny_vlm)["language"]


def test_a_trained_projector_is_not_the_vision_tower(tiny_vlm: Path, tmp_path: Path) -> None:
    found = towers.changes(tiny_vlm, changed(tiny_vlm, tmp_path / "trained", louder(r"visual\.merger")))
    assert [one.tower for one in found.towers if one.changed] == ["projector"]


def test_a_copy_in_another_type_or_under_older_names_is_no_change(tiny_vlm: Path, tmp_path: Path) -> None:
    half = changed(tiny_vlm, tmp_path / "half", lambda _, value: value.bfloat16())
    assert not any(one.changed for one in towers.changes(tiny_vlm, half).towers)
    again = changed(half, tmp_path / "again", lambda _, value: value.float())
    assert towers.digests(half) == towers.digests(again)
    old = {name.replace("model.language_model.", "model.").replace("model.visual.", "visual."): value
           for name, value in load_file(tiny_vlm / "model.safetensors").items()}  # fmt: skip
    (tmp_path / "old").mkdir()
    save_file(old, tmp_path / "old" / "model.safetensors", metadata={"format": "pt"})
    assert towers.digests(tmp_path / "old") == towers.digests(tiny_vlm)
    found = towers.changes(tmp_path / "old", tiny_vlm)
    assert not found.added and not found.removed


def test_models_that_are_no_relatives_are_refused(tiny_vlm: Path, tmp_path: Path) -> None:
    other = changed(tiny_vlm, tmp_path / "other", lambda _, value: value[:-1].clone() if value.ndim == 2 else value)
    with pytest.raises(ModelError, match="not trained from the other"):
        towers.changes(tiny_vlm, other)


def test_a_vision_file_of_the_checkpoint_is_known_by_its_values(tiny_vlm: Path, tmp_path: Path) -> None:
    said = towers.check_projector(mmproj(tiny_vlm, tmp_path / "mmproj.gguf"), tiny_vlm)
    assert re.fullmatch(r"(\d+) of \1 tensors are the checkpoint's", said)


@pytest.mark.parametrize("words", [r"visual\.blocks\.1\.mlp\.up_proj\.weight", r"visual\.merger\.mlp\.0\.bias"])
def test_a_stock_vision_file_beside_a_trained_tower_is_refused(tiny_vlm: Path, tmp_path: Path, words: str) -> None:
    stock = mmproj(tiny_vlm, tmp_path / "mmproj.gguf")
    # A tiny model's biases are 0, which times anything stays 0
    trained = changed(
        tiny_vlm, tmp_path / "trained", lambda name, value: value + 0.01 if re.search(words, name) else value
    )
    with pytest.raises(ModelError, match=r"the file was made of another model, perhaps of the one before training"):
        towers.check_projector(stock, trained)


def test_a_vision_file_of_unknown_names_proves_nothing(tiny_vlm: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="only 0 of its"):
        towers.check_projector(mmproj(tiny_vlm, tmp_path / "mmproj.gguf", unknown=True), tiny_vlm)


def test_a_vision_file_beside_a_model_without_eyes_is_refused(tiny_vlm: Path, tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no vision tower"):
        towers.check_projector(mmproj(tiny_vlm, tmp_path / "mmproj.gguf"), tiny_llama)

"""The vision tower as a file: llama.cpp sees with it what torch sees."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import example_records
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from zoo.cards import Exports, onnx_card
from zoo.errors import ExportError, ModelError
from zoo.exports.gguf import convert, vision
from zoo.exports.onnx import NO_IMAGES
from zoo.formats import gguf_header
from zoo.image_processor import load_image_processor
from zoo.serving.llama_vision import image_embeddings

# Height and width: whole windows of 112, and two that end inside one.
SIZES = [(224, 224), (140, 196), (168, 140)]


@pytest.fixture(scope="module")
def files(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("vision")
    found = {"model": folder / "model-F32.gguf"}
    convert(tiny_vlm, found["model"], "f32")
    for type_ in ("f32", "f16", "q8_0"):
        found[type_] = folder / f"mmproj-{type_}.gguf"
        vision.convert(tiny_vlm, found[type_], type_)
    return found


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def seen_by_torch(checkpoint: Path, pixels: np.ndarray) -> np.ndarray:
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()
    images = load_image_processor(checkpoint).image_processor(images=[Image.fromarray(pixels)], return_tensors="pt")
    with torch.inference_mode():
        found = model.model.visual(images["pixel_values"], grid_thw=images["image_grid_thw"])
    return (found if torch.is_tensor(found) else found.pooler_output).numpy()


@pytest.mark.parametrize("size", SIZES)
def test_llama_cpp_sees_what_torch_sees(tiny_vlm: Path, files: dict[str, Path], size: tuple[int, int]) -> None:
    """Up to the float16 of llama.cpp's attention: 4e-4 here, as with its own converter's files."""
    expected = seen_by_torch(tiny_vlm, picture(*size))
    assert expected.shape == (size[0] // 28 * (size[1] // 28), 64)
    for type_, most in (("f32", 1e-3), ("f16", 1e-3), ("q8_0", 6e-2)):
        found = image_embeddings(files["model"], files[type_], picture(*size))
        assert found.shape == expected.shape
        assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < most, type_


def test_every_weight_of_the_tower_is_in_the_file(tiny_vlm: Path, files: dict[str, Path]) -> None:
    stored = load_file(tiny_vlm / "model.safetensors")
    tower = {name: tensor for name, tensor in stored.items() if "visual." in name}
    header = gguf_header.read(files["f32"])
    assert header.parameters == sum(tensor.numel() for tensor in tower.values())
    assert {tensor.type for tensor in header.tensors} == {"F32"}
    data = header.metadata
    assert (data["general.architecture"], data["general.type"]) == ("clip", "mmproj")
    assert (data["clip.projector_type"], data["clip.vision.n_wa_pattern"]) == ("qwen2.5vl_merger", 2)
    names = {tensor.name: tensor for tensor in header.tensors}
    assert names["v.patch_embd.weight"].shape == names["v.patch_embd.weight.1"].shape == (32, 3, 14, 14)
    queries = names["v.blk.0.attn_q.weight"]
    raw = np.fromfile(files["f32"], np.float32, count=32 * 32, offset=queries.offset).reshape(32, 32)
    fused = next(tensor for name, tensor in tower.items() if name.endswith("blocks.0.attn.qkv.weight"))
    assert np.array_equal(raw, fused[:32].numpy())


def test_the_limits_of_the_image_processor_are_told(tiny_vlm: Path, tmp_path: Path) -> None:
    notes = vision.convert(tiny_vlm, tmp_path / "mmproj-F16.gguf", "f16")
    assert (notes["min_image_tokens"], notes["max_image_tokens"]) == (4, 64)
    assert [file.name for file in tmp_path.iterdir()] == ["mmproj-F16.gguf"]


def test_a_tower_of_another_width_is_refused_by_name(files: dict[str, Path], lively: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(lively, other)
    with pytest.raises(ExportError, match="no vision tower"):
        vision.convert(other, tmp_path / "mmproj.gguf", "f16")
    with pytest.raises(ExportError, match=r"no-such\.gguf"):
        image_embeddings(files["model"], tmp_path / "no-such.gguf", picture(56, 56))


def changed_tower(checkpoint: Path, folder: Path, **tower: Any) -> Path:
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["vision_config"] |= tower
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("tower", "message"),
    [
        ({"fullatt_block_indexes": [0, 1, 5]}, r"\[0, 1, 5\]: llama.cpp knows only every n-th"),
        ({"fullatt_block_indexes": []}, "every n-th"),
        ({"temporal_patch_size": 3}, "as 2 frames"),
        ({"spatial_merge_size": 4}, "merges 2 x 2"),
    ],
)
def test_a_tower_that_llama_cpp_computes_otherwise_is_refused(
    tiny_vlm: Path, tmp_path: Path, tower: dict[str, Any], message: str
) -> None:
    folder = changed_tower(tiny_vlm, tmp_path / "model", **tower)
    with pytest.raises(ExportError, match=message):
        vision.convert(folder, tmp_path / "mmproj.gguf", "f16")


def test_a_tower_that_is_not_whole_leaves_nothing_behind(tiny_vlm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_vlm, folder)
    tensors = load_file(folder / "model.safetensors")
    lost = next(name for name in tensors if name.endswith("blocks.1.attn.qkv.weight"))
    save_file({name: one for name, one in tensors.items() if name != lost}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"lacks 3 tensors, the first is v\.blk\.1\.attn_k"):
        vision.convert(folder, tmp_path / "mmproj.gguf", "f16")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"no preprocessor_config\.json"):
        vision.convert(folder, tmp_path / "mmproj.gguf", "f16")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_the_card_of_graphs_sends_those_with_images_to_the_file_that_sees() -> None:
    """No vision tower is exported as a graph, since those that come out are wrong for most sizes."""
    records = example_records.run()
    graph = {"onnx/model.onnx": {"sha256": "ab" * 32, "bytes": 1000}}
    rows = [{"variant": "fp32", "file": "onnx/model.onnx", "bytes": 1000}]
    made = replace(records["gguf"], files=graph, metrics={}, notes={"files": rows, "images": NO_IMAGES})
    exports = Exports("ONNX", "zoo/pocket-135m-ONNX", made, {name: name for name in graph}, None)
    card = onnx_card(replace(example_records.data(), onnx=exports))
    assert "off by 17 % for others" in card and "as the `mmproj` file among the GGUF files" in card

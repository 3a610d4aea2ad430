"""The vision tower of a Qwen2.5-VL checkpoint, as llama.cpp wants it in a file of its own (`mmproj`).

Source: llama.cpp's converter, `conversion/qwenvl.py: Qwen2VLVisionModel` and `conversion/base.py: MmprojModel`. Three
tensors are cut: the fused queries, keys and values of each block in three, the convolution over two frames in two.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import ExportError
from zoo.formats.weights import StoredTensor

if TYPE_CHECKING:
    import numpy as np

__all__ = ["VisionTensor", "supported", "vision_tensors", "window_pattern"]

_PARTS = ("q", "k", "v")


@dataclass(frozen=True)
class VisionTensor:
    """A tensor of the vision tower, under its name in GGUF."""

    name: str
    stored: StoredTensor
    shape: tuple[int, ...]
    rows: slice | None = None
    """Of a fused tensor, those that this one has."""
    frame: int | None = None
    """Of a convolution over frames [out, in, frames, height, width], the one that this one has."""

    def load(self) -> "np.ndarray[Any, Any]":
        """Its values in float32. Raises ModelError when they are no numbers."""
        values = self.stored.load()
        if self.frame is not None:
            values = values[:, :, self.frame]
        return values[self.rows] if self.rows is not None else values


def supported(vision: Mapping[str, Any]) -> None:
    """Check that a `vision_config` is of a tower that llama.cpp computes. Raises ExportError."""
    window_pattern(vision)
    if vision.get("temporal_patch_size", 2) != 2:
        raise ExportError(f"llama.cpp reads images as 2 frames, the vision tower as {vision['temporal_patch_size']}")
    if vision.get("spatial_merge_size", 2) != 2:
        raise ExportError(f"llama.cpp merges 2 x 2 patches, the vision tower {vision['spatial_merge_size']}")


def window_pattern(vision: Mapping[str, Any]) -> int:
    """Every how many blocks one attends to the whole image. Raises ExportError when that is not regular."""
    full = list(vision.get("fullatt_block_indexes") or [])
    period = full[0] + 1 if full else 0
    if not full or full != list(range(period - 1, full[-1] + 1, period)):
        raise ExportError(f"full attention in the blocks {full}: llama.cpp knows only every n-th")
    return int(period)


def vision_tensors(stored: Iterable[StoredTensor], depth: int) -> Iterator[VisionTensor]:
    """Those tensors of a checkpoint that its vision tower is made of; `depth` is its number of blocks.

    Raises ExportError for one that llama.cpp has no place for.
    """
    import gguf

    # The map holds the merger's layers 0 and 2 among the blocks, of which a small tower has fewer.
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, max(depth, 3))
    for tensor in stored:
        key = tensor.name.removeprefix("model.")
        if not key.startswith("visual."):
            continue
        for part, piece in _pieces(key, tensor):
            name = names.get_name(part, try_suffixes=(".weight", ".bias"))
            if name is None:
                raise ExportError(f"{tensor.file}: mmproj in llama.cpp has no tensor for {tensor.name}")
            yield VisionTensor(name + (".1" if piece.get("frame") else ""), tensor, **piece)


def _pieces(key: str, tensor: StoredTensor) -> Iterator[tuple[str, dict[str, Any]]]:
    if ".qkv." in key:
        count = tensor.shape[0] // 3
        for index, part in enumerate(_PARTS):
            rows = slice(index * count, (index + 1) * count)
            yield key.replace(".qkv.", f".{part}."), {"shape": (count, *tensor.shape[1:]), "rows": rows}
    elif "patch_embed.proj.weight" in key:
        for frame in range(2):
            yield key, {"shape": (*tensor.shape[:2], *tensor.shape[3:]), "frame": frame}
    else:
        yield key, {"shape": tensor.shape}

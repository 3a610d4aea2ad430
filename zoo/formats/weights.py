"""Tensors of a safetensors checkpoint, one at a time: memory holds the largest tensor, never the model.

The format: 8 bytes of header length, a JSON header, the data (https://github.com/huggingface/safetensors). It is read
here by hand since numpy has no bfloat16 and torch would be loaded for nothing else.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["StoredTensor", "index", "tensors_of"]

_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_AGAIN = "save or download the checkpoint again"


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies."""

    name: str
    file: Path
    dtype: str
    """`F32`, `F16` or `BF16`."""
    shape: tuple[int, ...]
    offset: int
    """Bytes from the start of the file."""

    def load(self, first: int = 0, count: int | None = None) -> "np.ndarray[Any, Any]":
        """The values in float32, exact for all three types; of `count` rows from `first`, or of all.

        Raises ModelError when a value is no number: a model like that diverged, and every export of it is void.
        """
        import numpy as np

        stored = np.dtype({"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[self.dtype])
        shape = self.shape if count is None else (count, *self.shape[1:])
        start = self.offset + first * prod(self.shape[1:]) * _ITEM_BYTES[self.dtype]
        values = np.fromfile(self.file, stored, count=prod(shape), offset=start)
        if self.dtype == "BF16":
            # bfloat16 is the upper half of a float32
            wide = values.astype(np.uint32)
            wide <<= 16
            values = wide.view(np.float32)
        values = values.astype(np.float32, copy=False).reshape(shape)
        if not np.isfinite(values).all():
            raise ModelError(f"{self.file}: tensor {self.name} holds NaN or infinity; the training run diverged")
        return values


def index(folder: Path) -> list[StoredTensor]:
    """Every tensor of a checkpoint, shards included, in the order of the files.

    Raises ModelError when there are no safetensors weights, a shard is missing, or a file is truncated or foreign.
    """
    return [tensor for file in _files(folder) for tensor in tensors_of(file)]


def _files(folder: Path) -> list[Path]:
    if (folder / _INDEX).is_file():
        try:
            names = sorted(set(json.loads((folder / _INDEX).read_text("utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"{folder / _INDEX}: no index of shards; {_AGAIN}") from error
        files = [folder / Path(name).name for name in names]
    else:
        files = [folder / _SINGLE]
    if absent := [file.name for file in files if not file.is_file()]:
        raise ModelError(f"{folder}: no {absent[0]}; weights are read from safetensors only")
    return files


def tensors_of(file: Path) -> list[StoredTensor]:
    """Every tensor of one safetensors file. Raises ModelError when it is missing, truncated or foreign."""
    if not file.is_file():
        raise ModelError(f"{file.parent}: no {file.name}; weights are read from safetensors only")
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length + 8 > size:
            raise ModelError(f"{file}: truncated or no safetensors file; {_AGAIN}")
        try:
            header = json.loads(stream.read(length))
            entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
            return [_tensor(file, name, entry, 8 + length, size) for name, entry in entries.items()]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{file}: no safetensors header; {_AGAIN}") from error


def _tensor(file: Path, name: str, entry: Mapping[str, Any], data: int, size: int) -> StoredTensor:
    dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if dtype not in _ITEM_BYTES:
        raise ModelError(f"{file}: tensor {name} is stored as {dtype}; known: {', '.join(_ITEM_BYTES)}")
    if end - begin != prod(shape) * _ITEM_BYTES[dtype] or begin < 0:
        raise ModelError(f"{file}: tensor {name} does not have the size that its shape says; {_AGAIN}")
    if data + end > size:
        raise ModelError(f"{file}: truncated: tensor {name} ends at byte {data + end} of {size}; {_AGAIN}")
    return StoredTensor(name, file, dtype, shape, data + begin)

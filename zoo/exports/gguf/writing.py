"""GGUF files onto the disk, whole or not at all, one tensor in memory at a time.

They are written into a folder beside their place and moved there when the last byte is written, a split model file by
file. What stands there already survives a failure.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ExportError
from zoo.records import Progress

if TYPE_CHECKING:
    import gguf
    import numpy as np

__all__ = ["Tensor", "write"]


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file to be written."""

    name: str
    shape: tuple[int, ...]
    """Rows first."""
    type: str
    """`F16`, `Q8_0`, ..."""
    data: "Callable[[], np.ndarray[Any, Any]]"
    """Its bytes in this type, read and converted when they are asked for."""

    @property
    def bytes(self) -> int:
        import gguf

        block, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[self.type]]
        return prod(self.shape) // int(block) * int(block_bytes)


def write(
    file: Path,
    architecture: str,
    describe: "Callable[[gguf.GGUFWriter], None]",
    tensors: Sequence[Tensor],
    progress: Progress,
    shard_bytes: int | None = None,
) -> list[Path]:
    """Write metadata and tensors; the files that there are then, `NAME-00001-of-0000N.gguf` where more than one.

    `describe` adds the metadata. No file holds more than `shard_bytes` of tensors, unless one tensor alone is larger.

    Raises ExportError when there is no room or the folder cannot be written to.
    """
    part = file.with_name(file.name + ".part")
    try:
        _check_room(file, sum(tensor.bytes for tensor in tensors))
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        _fill(part / file.name, architecture, describe, tensors, progress, shard_bytes)
        written = sorted(part.iterdir())
        return [one.replace(file.with_name(one.name)) for one in written]
    except OSError as error:
        # numpy counts what a full disk took and gives no reason
        reason = error if error.strerror else f"the disk did not take all of it ({error})"
        raise ExportError(f"{file}: cannot be written: {reason}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check_room(file: Path, needed: int) -> None:
    free = shutil.disk_usage(file.parent).free
    if needed > free:
        raise ExportError(
            f"{file}: needs {needed / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are free; make room, or write elsewhere"
        )


def _fill(
    path: Path,
    architecture: str,
    describe: "Callable[[gguf.GGUFWriter], None]",
    tensors: Sequence[Tensor],
    progress: Progress,
    shard_bytes: int | None,
) -> None:
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, architecture, split_max_size=shard_bytes or 0)
    try:
        describe(writer)
        for tensor in tensors:
            kind = gguf.GGMLQuantizationType[tensor.type]
            writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.bytes, kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for index, tensor in enumerate(tensors):
            writer.write_tensor_data(tensor.data())
            progress(index + 1, len(tensors), tensor=tensor.name)
    finally:
        writer.close()

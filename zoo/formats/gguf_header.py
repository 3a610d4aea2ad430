"""What a GGUF file says of itself, read from its first bytes without its weights.

llama.cpp may end the whole process on a file that lies about its sizes, so nothing is loaded that did not pass here.
The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3, little-endian). The reader of the
`gguf` package maps every token to an array of its own (1.5 s for 49 000 tokens); this one takes a twentieth of that.
"""

import mmap
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from zoo.errors import ExportError
from zoo.formats import gguf_names

__all__ = ["Header", "Tensor", "read"]

_MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file."""

    name: str
    shape: tuple[int, ...]
    """Rows first, as in torch; the file has the row length first."""
    type: str
    """`F16`, `Q8_0`, ..."""
    offset: int
    """Bytes from the start of the file."""
    bytes: int
    file: Path
    """Of a split model, the file that this one lies in."""


@dataclass(frozen=True)
class Header:
    """Everything but the weights."""

    metadata: Mapping[str, Any]
    tensors: tuple[Tensor, ...]

    @property
    def parameters(self) -> int:
        return sum(prod(tensor.shape) for tensor in self.tensors)

    @property
    def bits_per_weight(self) -> float:
        """Of the tensors as they are stored, so fallbacks to a larger type count as what they are."""
        return 8 * sum(tensor.bytes for tensor in self.tensors) / self.parameters

    @property
    def types(self) -> dict[str, int]:
        """Tensor type -> how many tensors have it."""
        return dict(sorted(Counter(tensor.type for tensor in self.tensors).items()))


def read(file: Path) -> Header:
    """Read and check a header; of a split model, given its first file, with the tensors of all.

    Raises ExportError when the file is none of GGUF version 3, is cut short, or holds a tensor type unknown here, and
    when a split model lacks a file or is named by another than its first.
    """
    header = _read_one(file)
    if int(header.metadata.get("split.count", 1)) < 2:
        return header
    if header.metadata.get("split.no"):
        raise ExportError(f"{file}: one part of a split model; name the first, ...-00001-of-...")
    parts = gguf_names.shards(file)
    if absent := [part.name for part in parts if not part.is_file()]:
        raise ExportError(f"{file}: one part of a split model, of which {', '.join(absent)} is missing")
    tensors = (tensor for part in parts[1:] for tensor in _read_one(part).tensors)
    whole = Header(header.metadata, (*header.tensors, *tensors))
    if len(whole.tensors) != header.metadata.get("split.tensors.count"):
        raise ExportError(f"{file}: its parts hold {len(whole.tensors)} tensors and are not those of one model")
    return whole


def _read_one(file: Path) -> Header:
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return _Walk(view, file).header()
    except (OSError, ValueError) as error:
        raise ExportError(f"{file}: cannot be read as GGUF: {error}") from error
    except struct.error as error:
        raise ExportError(f"{file}: the file ends inside its header; export or download it again") from error


class _Walk:
    """A cursor over the header's bytes."""

    def __init__(self, view: mmap.mmap, file: Path) -> None:
        self._view, self._file, self._at = view, file, 0

    def header(self) -> Header:
        magic, version, tensors, pairs = self._take("<4sIQQ")
        if magic != _MAGIC:
            raise ExportError(
                f"{self._file}: starts with {magic!r} where a GGUF file has {_MAGIC!r}; it is another format"
            )
        if version != 3:
            raise ExportError(f"{self._file}: GGUF version {version}; only version 3 is read here, convert it again")
        metadata = {self._string(): self._value() for _ in range(pairs)}
        infos = [self._tensor_info() for _ in range(tensors)]
        alignment = int(metadata.get("general.alignment", 32))
        start = -(-self._at // alignment) * alignment
        return Header(metadata, tuple(self._placed(info, start) for info in infos))

    def _take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._view, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _string(self) -> str:
        (length,) = self._take("<Q")
        if self._at + length > len(self._view):
            raise struct.error("string beyond the end")
        text = self._view[self._at : self._at + length].decode("utf-8", "surrogateescape")
        self._at += length
        return text

    def _value(self) -> Any:
        (kind,) = self._take("<I")
        return self._value_of(kind)

    def _value_of(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            of, count = self._take("<IQ")
            return self._array(of, count)
        if kind not in _SCALARS:
            raise ExportError(f"{self._file}: metadata of the unknown kind {kind}; the header is damaged")
        return self._take("<" + _SCALARS[kind])[0]

    def _array(self, kind: int, count: int) -> list[Any]:
        if count > len(self._view):
            raise struct.error("array beyond the end")
        if kind in _SCALARS:
            return list(self._take(f"<{count}{_SCALARS[kind]}"))
        return [self._value_of(kind) for _ in range(count)]

    def _tensor_info(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        (dimensions,) = self._take("<I")
        shape = self._take(f"<{dimensions}Q")
        kind, offset = self._take("<IQ")
        return name, tuple(reversed(shape)), kind, offset

    def _placed(self, info: tuple[str, tuple[int, ...], int, int], start: int) -> Tensor:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        name, shape, kind, offset = info
        try:
            type_ = GGMLQuantizationType(kind)
        except ValueError as error:
            raise ExportError(f"{self._file}: tensor {name} is of the unknown type {kind}") from error
        block, block_bytes = GGML_QUANT_SIZES[type_]
        size = prod(shape) // block * block_bytes
        if start + offset + size > len(self._view):
            raise ExportError(
                f"{self._file}: cut short: tensor {name} ends at byte {start + offset + size}, the file has "
                f"{len(self._view)}; export or download it again"
            )
        return Tensor(name, shape, type_.name, start + offset, size, self._file)

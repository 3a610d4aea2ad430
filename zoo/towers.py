"""The towers of a checkpoint (vision, projector, language): their digests, and which of them training changed.

A vision-language model ships as two files, and the one for images is easily taken from the base model's repository: it
loads, and its eyes are then not the ones that were trained. What is compared here are values and not bytes, so that a
checkpoint in bfloat16 and its copy in float32 are the same; one tensor is in memory at a time.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ModelError
from zoo.formats import gguf_header, vision, weights
from zoo.formats.weights import StoredTensor

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "TOWERS",
    "TowerChange",
    "TowerChanges",
    "changes",
    "check_projector",
    "differing",
    "digests",
    "plain_name",
    "tower_of",
]

TOWERS = ("vision", "projector", "language")
_VISION = ("visual.", "vision_tower.", "vision_model.")
_PROJECTORS = ("merger.", "multi_modal_projector.", "connector.", "projector.")
_COARSE = ("BF16", "F16", "F32")
"""From the coarsest; two values are compared in the coarser of their types."""


@dataclass(frozen=True)
class TowerChange:
    """One tower before and after training."""

    tower: str
    tensors: int
    changed: tuple[str, ...]
    """Names of the tensors whose values differ."""
    digest: str
    """Of the trained tower's values."""


@dataclass(frozen=True)
class TowerChanges:
    """Every tower of a checkpoint beside the one that it was trained from."""

    towers: tuple[TowerChange, ...]
    added: tuple[str, ...]
    """Tensors that only the trained checkpoint has."""
    removed: tuple[str, ...]

    def changed(self, tower: str) -> bool:
        """Whether training changed any tensor of a tower."""
        return any(one.changed for one in self.towers if one.tower == tower)

    def as_data(self) -> dict[str, Any]:
        """Plain JSON for a record: how many tensors changed in each tower, and its digest."""
        return {
            **{
                one.tower: {"tensors": one.tensors, "changed": len(one.changed), "digest": one.digest}
                for one in self.towers
            },
            "added": list(self.added),
            "removed": list(self.removed),
        }


def tower_of(name: str) -> str:
    """The tower of a tensor, by its name in transformers 4 or 5.

    >>> [tower_of(name) for name in ("model.visual.blocks.0.norm1.weight", "visual.merger.ln_q.weight", "norm.weight")]
    ['vision', 'projector', 'language']
    """
    inner = plain_name(name)
    for prefix in _VISION:
        if inner.startswith(prefix):
            inner = inner.removeprefix(prefix)
            return "projector" if inner.startswith(_PROJECTORS) else "vision"
    return "projector" if inner.startswith(_PROJECTORS) else "language"


def plain_name(name: str) -> str:
    """A tensor's name without what transformers 5 puts in front of towers; 4 and 5 then call it the same."""
    inner = name.removeprefix("model.")
    for prefix in (*_VISION, *_PROJECTORS):
        if inner.startswith(prefix):
            return inner
    return inner.removeprefix("language_model.").removeprefix("model.")


def digests(folder: Path) -> dict[str, str]:
    """A digest of the values of each tower that a checkpoint has, whatever type they are stored in.

    Raises ModelError when the weights are missing, truncated, foreign, or no numbers.
    """
    hashes = {tower: hashlib.sha256() for tower in TOWERS}
    stored = _by_name(folder)
    for name in sorted(stored):
        hashes[tower_of(name)].update(f"{name} {stored[name].shape} ".encode() + _bytes(stored[name].load()))
    there = {tower_of(name) for name in stored}
    return {tower: hashes[tower].hexdigest() for tower in TOWERS if tower in there}


def changes(base: Path, trained: Path) -> TowerChanges:
    """What training did to each tower. Raises ModelError like `digests`, and when the two are no relatives: a tensor of
    another shape."""
    before, after = _by_name(base), _by_name(trained)
    made = digests(trained)
    common = sorted(before.keys() & after.keys())
    differing = [name for name in common if not _same(before[name], after[name])]
    return TowerChanges(
        towers=tuple(
            TowerChange(
                tower,
                sum(tower_of(name) == tower for name in after),
                tuple(name for name in differing if tower_of(name) == tower),
                made[tower],
            )
            for tower in made
        ),
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
    )


def differing(base: Path, other: Path, towers: Collection[str]) -> list[str]:
    """The tensors of these towers that another checkpoint lacks or holds with other values, by their plain names.

    Raises ModelError like `changes`.
    """
    before, after = _by_name(base), _by_name(other)
    chosen = sorted(name for name in before if tower_of(name) in towers)
    return [name for name in chosen if name not in after or not _same(before[name], after[name])]


def check_projector(mmproj: Path, checkpoint: Path) -> str:
    """Whether a vision file for llama.cpp (`mmproj`) holds this checkpoint's vision tower and projector.

    Every tensor is compared value by value, in the file's type, cut up as the format cuts it (`zoo.formats.vision`).

    Returns a sentence on how much was compared. Raises ModelError naming the first tensor that differs, and when less
    than half of the file's tensors were found in the checkpoint: then nobody knows what they are.
    """
    header = gguf_header.read(mmproj)
    stored = weights.index(checkpoint)
    ours = {tensor.name: tensor for tensor in vision.vision_tensors(stored, _blocks(stored))}
    if not ours:
        raise ModelError(f"{checkpoint} has no vision tower, but {mmproj.name} lies beside it; remove the file")
    known = [tensor for tensor in header.tensors if tensor.name in ours]
    for tensor in known:
        source = ours[tensor.name]
        if not _close(_read_gguf(mmproj, tensor), source.load(), tensor.type):
            raise ModelError(
                f"{mmproj.name}: {tensor.name} is not the checkpoint's {source.stored.name}: the file was made of "
                "another model, perhaps of the one before training; export it again from this checkpoint"
            )
    if 2 * len(known) < len(header.tensors):
        raise ModelError(
            f"{mmproj.name}: only {len(known)} of its {len(header.tensors)} tensors are known here by name, so that "
            "nobody can say whether they are this checkpoint's; export it again with this package"
        )
    return f"{len(known)} of {len(header.tensors)} tensors are the checkpoint's"


def _blocks(stored: Sequence[StoredTensor]) -> int:
    """The number of blocks of the vision tower, by the names of its tensors."""
    words = (word for tensor in stored if "visual.blocks." in tensor.name for word in tensor.name.split("."))
    return 1 + max((int(word) for word in words if word.isdigit()), default=0)


def _close(found: "np.ndarray[Any, Any]", expected: "np.ndarray[Any, Any]", type_: str) -> bool:
    """Equal but for the rounding of the file's type (half a step of f16, of bf16, 1 % for 8 bits and coarser)."""
    import numpy as np

    if found.size != expected.size:
        return False
    allowed = {"F32": 0.0, "F16": 1e-3, "BF16": 4e-3}.get(type_, 2e-2)
    error = np.linalg.norm(found.ravel() - expected.ravel())
    return bool(error <= allowed * np.linalg.norm(expected) + 1e-7 * expected.size**0.5)


def _read_gguf(file: Path, tensor: gguf_header.Tensor) -> "np.ndarray[Any, Any]":
    import gguf
    import numpy as np

    kind = gguf.GGMLQuantizationType[tensor.type]
    data = np.fromfile(file, np.uint8, count=tensor.bytes, offset=tensor.offset)
    values: np.ndarray[Any, Any] = gguf.quants.dequantize(
        data.reshape(gguf.quant_shape_to_byte_shape(tensor.shape, kind)), kind
    )
    return values


def _by_name(folder: Path) -> dict[str, StoredTensor]:
    return {plain_name(tensor.name): tensor for tensor in weights.index(folder)}


def _same(one: StoredTensor, other: StoredTensor) -> bool:
    """Whether two tensors hold the same values, both rounded to the coarser of their types."""
    if one.shape != other.shape:
        raise ModelError(
            f"{other.file}: {other.name} has the shape {other.shape}, in {one.file.parent} {one.shape}: the one was "
            "not trained from the other"
        )
    coarser = min(one.dtype, other.dtype, key=_COARSE.index)
    return _bytes(_rounded(one, coarser)) == _bytes(_rounded(other, coarser))


def _rounded(tensor: StoredTensor, dtype: str) -> "np.ndarray[Any, Any]":
    import numpy as np

    values = tensor.load()
    if tensor.dtype == dtype or dtype == "F32":
        return values
    if dtype == "F16":
        return values.astype(np.float16).astype(np.float32)
    bits = values.view(np.uint32)
    # To the nearest, ties to even, as torch rounds to bfloat16
    rounded: np.ndarray[Any, Any] = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).view(np.float32)
    return rounded


def _bytes(values: "np.ndarray[Any, Any]") -> bytes:
    return values.tobytes()

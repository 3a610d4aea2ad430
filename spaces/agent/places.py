"""Where a model's files are on this machine: a folder that is named, or fetched from the Hub, with how far that is.

Of a repository only what the model needs is fetched. What goes wrong is said for visitors; the log has the rest.
"""

import errno
import logging
from collections.abc import Iterator
from pathlib import Path

from zoo import hub
from zoo.errors import HubError, ModelError
from zoo.formats import onnx_files
from zoo.hub import Pinned
from zoo.refs import HubRef
from zoo.space import SpaceModel

__all__ = ["bring", "cannot_be_had", "share"]

_LOG = logging.getLogger("space.models")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def bring(model: SpaceModel) -> Path:
    """The file or folder of a model; fetched first where it is on a Hub. Raises HubError or OSError."""
    if model.path:
        place = Path(model.path)
        if not place.exists():
            raise HubError(f"{place} is not there")
        return place
    pinned = hub.pin(HubRef(model.repository, model.revision), "model", [hub.public_endpoint()])
    if model.runtime == "gguf":
        return hub.fetch_file(pinned, model.file)
    if model.runtime == "torch":
        return hub.fetch(pinned)
    return _graph(pinned, model)


def share(model: SpaceModel) -> float | None:
    """How much of a model is here, by what huggingface_hub has written of it so far; None when that is not known."""
    if not model.bytes or model.path:
        return None
    written = max((_size(file) for file in _unfinished(model)), default=0)
    return min(1.0, written / model.bytes)


def cannot_be_had(name: str, error: Exception) -> ModelError:
    """What visitors are told, without an address, a folder or a token."""
    _LOG.warning("%s: %s", name, error)
    full = any(getattr(cause, "errno", None) in _NO_ROOM for cause in _causes(error))
    why = "the disk of this machine is full" if full else "the Hub does not hand it out just now"
    return ModelError(f"{name} cannot be fetched: {why}. Recorded episodes play without it.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was raised from, or while handling."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _graph(pinned: Pinned, model: SpaceModel) -> Path:
    """Real files, since ONNX Runtime follows no link to weights that lie beside a graph."""
    folder, there = _folder(model) / pinned.commit, hub.files(pinned)
    if model.file not in there:
        raise HubError(f"{pinned}: has no {model.file}")
    wanted = onnx_files.needed(model.file, there)
    if missing := [path for path in wanted if not (folder / path).is_file()]:
        hub.fetch(pinned, folder, missing)
    return folder / model.file


def _folder(model: SpaceModel) -> Path:
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "edgezoo-graphs" / model.repository.replace("/", "--")


def _unfinished(model: SpaceModel) -> Iterator[Path]:
    from huggingface_hub.constants import HF_HUB_CACHE

    if model.runtime == "onnx":
        yield from _folder(model).rglob("*.incomplete")
    else:
        blobs = Path(HF_HUB_CACHE) / f"models--{model.repository.replace('/', '--')}" / "blobs"
        yield from blobs.glob("*.incomplete")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # it arrived meanwhile
        return 0

"""What a user names as a model, opened: a GGUF file, a checkpoint folder, or a repository of a Hub."""

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cache import default_root
from zoo.cli.hubs import chosen_file
from zoo.cli.outside import Outside
from zoo.errors import ModelError
from zoo.refs import HubRef, parse

if TYPE_CHECKING:
    from zoo.serving import Runtime

__all__ = ["DEFAULT_PART", "open_model", "resolve_model"]

DEFAULT_PART = "q8_0"


def open_model(path: Path, threads: int | None, device: str = "cpu") -> "Runtime":
    """The runtime of a file or folder. Raises ModelError when it is neither a GGUF file nor a folder."""
    from zoo.serving import open_gguf, open_torch

    if path.is_dir():
        return open_torch(path, device)
    if path.suffix != ".gguf":
        raise ModelError(f"{path}: neither a .gguf file nor a folder with a checkpoint")
    return open_gguf(path, threads)


def resolve_model(model: str, part: str, offline: bool) -> Path:
    """Where a model lies on this machine, fetched first when it is a repository: `owner/name[@revision][:file]`.

    `part` is a word of the file's name for a repository that holds several and names none.
    """
    if Path(model).exists():
        return Path(model)
    name, _, file = model.partition(":")
    return _fetched(name, file or part, offline)


def _fetched(model: str, part: str, offline: bool) -> Path:
    from zoo import hub

    try:
        ref = parse(model)
    except ValueError as error:
        raise ModelError(f"{model}: {error}") from error
    if not isinstance(ref, HubRef):
        raise ModelError(f"{model}: there is no such file or folder")
    outside = Outside(default_root(), offline)
    with outside.embedded() as embedded:
        pinned = hub.pin(ref, "model", [embedded] if offline else [embedded, hub.public_endpoint()])
        files = hub.files(pinned)
        if any(path.endswith(".gguf") for path in files):
            return hub.fetch_file(pinned, chosen_file(part, list(files)))
        return hub.fetch(pinned)

"""Models that a command line names: a file, a folder, or a repository of a Hub, brought to this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import hub, registry
from zoo.cache import default_root
from zoo.cli.display import byte_text
from zoo.cli.hubs import chosen_file
from zoo.cli.outside import Outside
from zoo.errors import EnvironmentFailure, ModelError
from zoo.formats import onnx_files
from zoo.hub import Pinned
from zoo.refs import HubRef, parse

if TYPE_CHECKING:
    from zoo.serving import Runtime

__all__ = [
    "DEFAULT_PART",
    "be_quiet",
    "checkpoint",
    "exported_files",
    "gguf_files",
    "model",
    "open_model",
    "require_runtimes",
    "resolve_model",
]

DEFAULT_PART = "q8_0"


def gguf_files(named: str, part: str | None, offline: bool) -> list[Path]:
    """The GGUF files of a file, a folder (all, or those with `part` in their name) or a repository (one).

    Raises ModelError when there is none, or when a repository has several and `part` does not say which.
    """
    path = Path(named).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [file for file in sorted(path.glob("*.gguf")) if not file.name.startswith("mmproj")]
        chosen = [file for file in found if not part or part.lower() in file.name.lower()]
        if not chosen:
            names = ", ".join(file.name for file in found) or "none at all"
            raise ModelError(f"{path}: no .gguf file{f' like {part!r}' if part else ''}; there is {names}")
        return chosen
    with _asked(named, offline) as (pinned, there):
        if not _ggufs(there):
            raise ModelError(f"{pinned.repo} holds no .gguf file; name a repository that does, or a file")
        return [_one(pinned, there, part)]


def exported_files(named: str, part: str | None, offline: bool) -> list[Path]:
    """One exported file of a repository, GGUF or ONNX: `part` is its type, or a word of its name.

    Raises ModelError when there is none, or when there are several and `part` does not say which.
    """
    with _asked(named, offline) as (pinned, there):
        if not _runnable(there):
            raise ModelError(f"{pinned.repo} holds no .gguf file and no ONNX graph; name a repository that does")
        return [_one(pinned, there, part)]


def checkpoint(named: str, offline: bool) -> Path:
    """A checkpoint folder: a local one, or the whole repository. Raises ModelError when it is something else."""
    path = Path(named).expanduser()
    if path.is_file():
        raise ModelError(f"{path} is a file; a checkpoint is a folder with config.json and safetensors")
    if path.is_dir():
        return path
    with _asked(named, offline) as (pinned, _):
        return hub.fetch(pinned)


def model(named: str, part: str | None, offline: bool) -> Path:
    """A GGUF file or a checkpoint folder, whatever is named."""
    path = Path(named).expanduser()
    if path.is_dir() and not any(path.glob("*.gguf")):
        return path
    if path.exists():
        found = gguf_files(named, part, offline)
        if len(found) > 1:
            raise ModelError(f"{path} holds {', '.join(file.name for file in found)}; name one of them with --file")
        return found[0]
    with _asked(named, offline) as (pinned, there):
        return _one(pinned, there, part) if _runnable(there) else hub.fetch(pinned)


def require_runtimes() -> None:
    """Raises EnvironmentFailure when the extra is missing that opens checkpoints and GGUF files."""
    entry = registry.STAGES["verify"]
    if missing := registry.missing_modules(entry):
        raise EnvironmentFailure(
            f"{', '.join(missing)} not installed; install with: pip install 'edgezoo[{entry.extra}]'"
        )


def be_quiet() -> None:
    """Before torch is loaded: the command draws its own progress, and OpenMP's threads must not spin (`zoo.worker`)."""
    from zoo.worker import ENVIRONMENT

    for name in ("GOMP_SPINCOUNT", "TOKENIZERS_PARALLELISM"):
        os.environ.setdefault(name, ENVIRONMENT[name])
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _one(pinned: Pinned, there: dict[str, int], part: str | None) -> Path:
    files = _runnable(there)
    if part is None and len(files) > 1:
        shown = "\n  ".join(f"{path}  {byte_text(size)}" for path, size in files.items())
        raise ModelError(f"{pinned.repo} holds several files; name one with --file, as in --file q8_0:\n  {shown}")
    typed = {onnx_files.variant_of(Path("export") / path): path for path in files}
    chosen = typed.get(part) or chosen_file(part, list(files)) if part else next(iter(files))
    if chosen.endswith(".onnx"):
        return _graph(pinned, chosen, there)
    file = hub.fetch_file(pinned, chosen)
    if tower := _tower(chosen, there):
        hub.fetch_file(pinned, tower)  # it comes to lie beside the file, where runtimes look for it
    return file


def _tower(chosen: str, there: dict[str, int]) -> str | None:
    """The vision tower beside a file; of several, the most exact one, which is the largest."""
    folder = Path(chosen).parent
    towers = [path for path in there if Path(path).parent == folder and Path(path).match("mmproj*.gguf")]
    return max(towers, key=lambda path: there[path], default=None)


def _graph(pinned: Pinned, graph: str, there: dict[str, int]) -> Path:
    """A graph with what its runtime reads beside it. Real files, since ONNX Runtime follows no link to weights."""
    folder = default_root() / "graphs" / pinned.repo.replace("/", "--") / pinned.commit
    missing = [path for path in onnx_files.needed(graph, there) if not (folder / path).is_file()]
    if missing:
        hub.fetch(pinned, folder, missing)
    return folder / graph


@contextmanager
def _asked(named: str, offline: bool) -> Iterator[tuple[Pinned, dict[str, int]]]:
    """A repository at a commit and its files, while the Hub that has it is there to be asked."""
    try:
        ref = parse(named)
    except ValueError as error:
        raise ModelError(f"{named}: there is no such file or folder, and it is no repository: {error}") from error
    if not isinstance(ref, HubRef):
        raise ModelError(f"{named}: there is no such file or folder")
    with Outside(default_root(), offline).embedded() as embedded:
        pinned = hub.pin(ref, "model", [embedded] if offline else [embedded, hub.public_endpoint()])
        yield pinned, dict(hub.files(pinned))


def _ggufs(files: dict[str, int]) -> dict[str, int]:
    return {
        path: size
        for path, size in files.items()
        if path.endswith(".gguf") and not Path(path).name.startswith("mmproj")
    }


def _runnable(files: dict[str, int]) -> dict[str, int]:
    """The GGUF files, and the graphs that lie where an export puts them."""
    graphs = {path: size for path, size in files.items() if path in onnx_files.FILES.values()}
    return {**_ggufs(files), **graphs}


def resolve_model(named: str, part: str, offline: bool) -> Path:
    """A file or folder, or what a name of the zoo or `owner/name[@revision][:file]` means, fetched first.

    `part` is a word of the file's name for a repository that holds several and names none.
    """
    from zoo.cli.zoo import named as listed

    if Path(named).exists():
        return Path(named)
    if found := listed(named, offline):
        named, part = found
    name, _, file = named.partition(":")
    return model(name, file or part, offline)


def open_model(path: Path, threads: int | None, device: str = "cpu") -> "Runtime":
    """The runtime of a file or folder. Raises ModelError when it is none of the forms that `zoo.serving` opens."""
    from zoo import serving

    return serving.open_model(path, threads=threads, device=device)

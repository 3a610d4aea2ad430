"""From a Hub: pin a reference to a commit, list its files, fetch them."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from zoo.errors import HubError, did_you_mean
from zoo.hub.digest import is_content
from zoo.hub.endpoint import Endpoint, Kind, api_of
from zoo.hub.failure import explained, persistently, reason
from zoo.hub.quiet import quiet
from zoo.hub.target import Target, digest_of
from zoo.refs import HubRef

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

__all__ = ["PICKLED", "Pinned", "fetch", "fetch_file", "files", "pin"]

PICKLED = ("*.bin", "*.pt", "*.pkl", "*.pth", "*.ckpt", "*.pickle")

_ANSWER_SECONDS = 15.0
_PIN_TRIES = 3


@dataclass(frozen=True)
class Pinned:
    """A repository at a commit, on the Hub that has it."""

    repo: str
    kind: Kind
    commit: str
    endpoint: Endpoint

    def __str__(self) -> str:
        return f"{self.repo}@{self.commit}"


def pin(ref: HubRef, kind: Kind, endpoints: Sequence[Endpoint], sleep: Callable[[float], None] = time.sleep) -> Pinned:
    """The commit that a reference means, on the first endpoint that has it.

    Raises HubError with what each endpoint said when none has it.
    """
    said = []
    for endpoint in endpoints:
        try:
            commit = persistently(lambda hub=endpoint: _commit(ref, kind, hub), sleep, _PIN_TRIES)  # type: ignore[misc]
        except Exception as error:
            said.append(f"{endpoint}: {reason(error, endpoint)}{_nearest_revision(error, ref, kind, endpoint)}")
        else:
            return Pinned(ref.repo, kind, commit, endpoint)
    listed = "\n    ".join(said) or "no Hub was asked"
    raise HubError(f"{kind} {ref}: not found.\n    {listed}")


def _commit(ref: HubRef, kind: Kind, endpoint: Endpoint) -> str:
    info = api_of(endpoint).repo_info(ref.repo, revision=ref.revision, repo_type=kind, timeout=_ANSWER_SECONDS)
    return str(info.sha)


def _move(staging: Path, destination: Path, paths: Iterable[str]) -> None:
    """From the folder that a resumed download needs, huggingface's notes in it, into the one that was asked for."""
    for path in paths:
        (destination / path).parent.mkdir(parents=True, exist_ok=True)
        (staging / path).replace(destination / path)
    rmtree(staging)


def _nearest_revision(error: Exception, ref: HubRef, kind: Kind, endpoint: Endpoint) -> str:
    """For a missing revision: the branch or tag that was probably meant."""
    from huggingface_hub.errors import RevisionNotFoundError

    if not isinstance(error, RevisionNotFoundError):
        return ""
    try:
        refs = api_of(endpoint).list_repo_refs(ref.repo, repo_type=kind)
    except Exception as unlisted:
        return f" (its branches cannot be listed: {reason(unlisted, endpoint)})"
    return "; " + did_you_mean(ref.revision, [item.name for item in (*refs.branches, *refs.tags)])


def files(pinned: Pinned) -> dict[str, int]:
    """Path -> bytes of every file of a pinned repository, without a download.

    Raises HubError.
    """
    return {path: item.size for path, item in _listed(pinned, time.sleep).items()}


def _listed(pinned: Pinned, sleep: Callable[[float], None]) -> "dict[str, RepoFile]":
    target = Target(api_of(pinned.endpoint), pinned.repo, pinned.kind, pinned.commit)
    with explained(pinned.endpoint, str(pinned)):
        return persistently(target.files, sleep)


def fetch(
    pinned: Pinned,
    destination: Path | None = None,
    only: Sequence[str] = (),
    cache: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
    with_pickles: bool = False,
) -> Path:
    """Download a snapshot, every file checked against the digest that its commit records.

    `only`: globs of paths. `destination`: a folder for the files, each of which appears there whole; else they are a
    snapshot in huggingface's cache (`cache`, if not the usual one). The commit, never a branch, names the snapshot: a
    repository of the same name on another Hub cannot be taken for this one. `with_pickles`: see `checkpoints`.

    A connection that breaks, a rate limit or a failure of the server is tried again; inside one call a broken file goes
    on where it was, a later call fetches only the files that had not arrived whole.

    Raises HubError, also when nothing matches `only`, or when a model has weights as pickles alone.
    """
    listed = _listed(pinned, sleep)
    sizes = {path: item.size for path, item in listed.items()}
    wanted = _wanted(pinned, sizes, only, with_pickles)
    staging = destination / f".download-{pinned.commit[:12]}" if destination else None
    digests = {path: digest_of(listed[path]) for path in wanted}

    def attempt() -> Path:
        return _snapshot(pinned, wanted, staging, cache)

    with explained(pinned.endpoint, str(pinned)), quiet():
        folder = persistently(attempt, sleep)
        _check_whole(pinned, folder, wanted)
        if _discarded(folder, digests):  # once more, for the bytes that were changed on the way
            folder = persistently(attempt, sleep)
            _check_whole(pinned, folder, wanted)
            if wrong := _discarded(folder, digests):
                raise HubError(
                    f"{pinned.endpoint}: {pinned}: {wrong[0]} twice arrived with another digest than its commit "
                    "records; it was thrown away. The Hub's copy is damaged: upload it again, or ask its owner to."
                )
    if destination and staging:
        _move(staging, destination, wanted)
    return destination or folder


def _snapshot(pinned: Pinned, wanted: Iterable[str], staging: Path | None, cache: Path | None) -> Path:
    from huggingface_hub import snapshot_download

    folder = snapshot_download(
        pinned.repo,
        repo_type=pinned.kind,
        revision=pinned.commit,
        endpoint=pinned.endpoint.url,
        token=pinned.endpoint.token or False,
        local_dir=staging,
        cache_dir=cache,
        allow_patterns=[_escaped(path) for path in wanted],
    )
    return Path(folder)


def _discarded(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """The files whose content is not what their commit records, deleted; huggingface_hub compares sizes alone."""
    wrong = sorted(path for path, digest in digests.items() if not is_content(folder / path, digest))
    for path in wrong:
        _discard(folder / path)
    return wrong


def _discard(file: Path) -> None:
    """Delete a file and, when it is a link into huggingface's cache, what it leads to."""
    content = file.resolve()
    file.unlink()
    content.unlink(missing_ok=True)


def fetch_file(
    pinned: Pinned, path: str, cache: Path | None = None, sleep: Callable[[float], None] = time.sleep
) -> Path:
    """Download one file into huggingface's cache, checked against the digest that the Hub names for it.

    Raises HubError, also for pickled weights.
    """
    if pinned.kind == "model" and _is_pickled(path):
        raise HubError(f"{pinned.endpoint}: {pinned}: {path} is a pickle and is not fetched. Use a safetensors file.")
    with explained(pinned.endpoint, f"{pinned}: {path}"), quiet():
        for _ in range(2):
            file = persistently(lambda: _one_file(pinned, path, cache), sleep)
            # The cache's link leads to a file that is named by the digest.
            if not file.is_symlink() or is_content(file, file.readlink().name):
                return file
            _discard(file)
    raise HubError(f"{pinned.endpoint}: {pinned}: {path} twice arrived with another digest than the Hub names for it.")


def _one_file(pinned: Pinned, path: str, cache: Path | None) -> Path:
    from huggingface_hub import hf_hub_download

    file = hf_hub_download(
        pinned.repo,
        path,
        repo_type=pinned.kind,
        revision=pinned.commit,
        endpoint=pinned.endpoint.url,
        token=pinned.endpoint.token or False,
        cache_dir=cache,
    )
    return Path(file)


def _is_pickled(path: str) -> bool:
    return any(fnmatch(path.lower(), pattern) for pattern in PICKLED)


def _escaped(path: str) -> str:
    """A path as a glob that matches it alone."""
    return path.translate({ord(sign): f"[{sign}]" for sign in "*?["})


def _wanted(pinned: Pinned, there: dict[str, int], only: Sequence[str], with_pickles: bool) -> dict[str, int]:
    """The files to fetch, with their sizes."""
    chosen = {path: size for path, size in there.items() if not only or any(fnmatch(path, glob) for glob in only)}
    if not chosen:
        asked = ", ".join(only) or "*"
        raise HubError(f"{pinned.endpoint}: {pinned}: has no file like {asked}. It has {_some(there)}.")
    if pinned.kind != "model" or with_pickles:
        return chosen
    safe = {path: size for path, size in chosen.items() if not _is_pickled(path)}
    pickles = sorted(chosen.keys() - safe.keys())
    if pickles and not any(path.endswith((".safetensors", ".gguf", ".onnx")) for path in safe):
        raise HubError(
            f"{pinned.endpoint}: {pinned}: has its weights only as pickles ({_some(pickles)}), which are not fetched. "
            "Name a revision or a repository with safetensors."
        )
    return safe


def _some(paths: Sequence[str] | dict[str, int]) -> str:
    names = sorted(paths)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "none"


def _check_whole(pinned: Pinned, folder: Path, wanted: dict[str, int]) -> None:
    """huggingface_hub returns a folder that exists when it cannot reach the Hub, whatever is in it."""
    for path, size in wanted.items():
        file = folder / path
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            was = "is missing" if found is None else f"has {found} bytes instead of {size}"
            raise HubError(f"{pinned.endpoint}: {pinned}: after the download {file} {was}. Delete it and run again.")

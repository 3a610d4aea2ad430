"""A Hub's folder read directly, by the command that owns it: a plan needs a commit or a config, not a server."""

from pathlib import Path

from zoo.local_hub.blobs import Blobs
from zoo.local_hub.names import Kind
from zoo.local_hub.refusal import Refused
from zoo.local_hub.repositories import Commit, Repositories

__all__ = ["commit_of", "file_of"]


def commit_of(root: Path, kind: Kind, repo: str, revision: str) -> str | None:
    """The commit that a revision of `owner/name` means, or None when this Hub has no such thing."""
    commit = _commit(root, kind, repo, revision)
    return commit.sha if commit else None


def file_of(root: Path, kind: Kind, repo: str, revision: str, path: str) -> bytes | None:
    """The content of a small file, or None when this Hub does not have it."""
    commit = _commit(root, kind, repo, revision)
    entry = commit.files.get(path) if commit else None
    return Blobs(root).path(entry.sha256).read_bytes() if entry else None


def _commit(root: Path, kind: Kind, repo: str, revision: str) -> Commit | None:
    if not (root / "hub.sqlite").is_file():  # asking must not make a Hub
        return None
    repositories = Repositories(root)
    try:
        return repositories.resolve(repositories.get(kind, repo), revision)
    except Refused:
        return None

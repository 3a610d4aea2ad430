"""The embedded Hub's folder read directly, without a server, for a plan that only asks."""

from pathlib import Path

from zoo.local_hub.blobs import Blobs
from zoo.local_hub.names import Kind
from zoo.local_hub.refusal import Refused
from zoo.local_hub.repositories import Repositories
from zoo.local_hub.state import Commit

__all__ = ["commit_of", "file_of"]


def commit_of(root: Path, kind: Kind, repo: str, revision: str) -> str | None:
    """The commit of a revision of `owner/name`; None when the folder is no Hub, or has no such thing."""
    commit = _commit(root, kind, repo, revision)
    return commit.sha if commit else None


def file_of(root: Path, kind: Kind, repo: str, revision: str, path: str) -> bytes | None:
    """A file's content, in memory: for configurations, not for weights. None when there is no such file."""
    commit = _commit(root, kind, repo, revision)
    entry = commit.files.get(path) if commit else None
    return Blobs(root).path(entry.sha256).read_bytes() if entry else None


def _commit(root: Path, kind: Kind, repo: str, revision: str) -> Commit | None:
    if not Repositories.exist(root):
        return None
    repositories = Repositories(root)
    try:
        return repositories.resolve(repositories.get(kind, repo), revision)
    except Refused:
        return None

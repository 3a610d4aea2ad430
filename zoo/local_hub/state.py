"""What the embedded Hub knows of repositories, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zoo.local_hub.names import Kind

__all__ = ["Commit", "Entry", "Reference", "Repository"]


@dataclass(frozen=True)
class Entry:
    """A file in a commit."""

    oid: str
    """git's SHA-1 of the content, or of its pointer when it is kept as a large file."""
    size: int
    sha256: str
    """Its content in `Blobs`."""
    large: bool
    """Whether clients see it as a file of LFS."""


@dataclass(frozen=True)
class Repository:
    """A repository, without its commits."""

    id: int
    kind: Kind
    name: str
    """`owner/name`."""
    private: bool
    created: str
    details: Mapping[str, object] = field(default_factory=dict)
    """`gated`, and what a Space has besides: `sdk`, `hardware`, `variables`, `secrets` (names only)."""

    @property
    def gated(self) -> str | bool:
        """`auto` or `manual` when only callers with a token may read its files, else False."""
        return str(self.details["gated"]) if self.details.get("gated") else False


@dataclass(frozen=True)
class Commit:
    """A state of a repository."""

    sha: str
    parent: str | None
    title: str
    message: str
    date: str
    files: Mapping[str, Entry]


@dataclass(frozen=True)
class Reference:
    """A branch, a tag, or the head of a pull request."""

    type: str
    """`branch`, `tag` or `pull`."""
    name: str
    sha: str

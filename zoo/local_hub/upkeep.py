"""A Hub's folder inspected and cleaned: is everything there and what it claims to be, and what does nobody need.

Works on the folder itself, beside any server that runs on it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from zoo.errors import HubError
from zoo.local_hub import protocol
from zoo.local_hub.blobs import Blobs
from zoo.local_hub.names import KINDS, Kind
from zoo.local_hub.repositories import Repositories
from zoo.local_hub.state import Commit, Entry, Repository

__all__ = ["Cleaning", "Damage", "Inspection", "Listed", "clean", "inspect", "listing"]


@dataclass(frozen=True)
class Damage:
    """One thing that is not as it should be."""

    where: str
    what: str


@dataclass(frozen=True)
class Inspection:
    """What was looked at, and what is wrong with it."""

    repositories: int
    commits: int
    contents: int
    bytes: int
    damages: tuple[Damage, ...]


@dataclass(frozen=True)
class Cleaning:
    """What was, or would be, deleted."""

    commits: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Listed:
    """A repository as `recipes hub ls` shows it, at its branch `main`."""

    kind: Kind
    name: str
    private: bool
    gated: bool
    files: int
    bytes: int
    changed: str


def listing(root: Path) -> list[Listed]:
    """Every repository, by kind and name.

    Raises HubError when the folder is no Hub.
    """
    repositories = _repositories(root)
    found = []
    for repository in _all(repositories):
        commit = repositories.resolve(repository, "main")
        size = sum(entry.size for entry in commit.files.values())
        gated, changed = bool(repository.gated), commit.date
        found.append(
            Listed(repository.kind, repository.name, repository.private, gated, len(commit.files), size, changed)
        )
    return sorted(found, key=lambda row: (KINDS.index(row.kind), row.name))


def inspect(root: Path) -> Inspection:
    """Whether every branch and tag leads to commits that are here, each file of a commit to a content that is here, and
    each content to the digest it is kept under. Reads every content once.

    Raises HubError when the folder is no Hub.
    """
    repositories, blobs = _repositories(root), Blobs(root)
    digests = {file.name: _digests(file) for file in blobs.all()}
    damages = [
        Damage(f"content {name}", f"has the SHA-256 {sha256}")
        for name, (sha256, _, _) in digests.items()
        if name != sha256
    ]
    counts = [0, 0]
    for repository in _all(repositories):
        commits = {commit.sha: commit for commit in repositories.commits(repository)}
        counts = [counts[0] + 1, counts[1] + len(commits)]
        damages += _loose_ends(repositories, repository, commits)
        entries = {(path, entry): sha for sha, commit in commits.items() for path, entry in commit.files.items()}
        for (path, entry), sha in entries.items():
            what = _wrong(entry, digests.get(entry.sha256))
            damages += [Damage(f"{repository.kind} {repository.name}@{sha[:12]}: {path}", what)] if what else []
    size = sum(size for _, _, size in digests.values())
    return Inspection(counts[0], counts[1], len(digests), size, tuple(damages))


def clean(root: Path, older_seconds: float, dry_run: bool = False) -> Cleaning:
    """Delete commits that no branch, tag or pull request leads to, contents that no commit holds, and what killed
    uploads left; all of it only when older than `older_seconds`, so that an upload under way loses nothing.

    Raises HubError when the folder is no Hub.
    """
    repositories, blobs = _repositories(root), Blobs(root)
    before = (datetime.now(UTC) - timedelta(seconds=older_seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    commits = repositories.unreachable(before)
    stale = blobs.unused(repositories.used_contents(without=commits), older_seconds)
    cleaning = Cleaning(len(commits), len(stale), sum(_bytes(file) for file in stale))
    if not dry_run:
        repositories.forget(commits)
        blobs.sweep(repositories.used_contents(), older_seconds)
    return cleaning


def _repositories(root: Path) -> Repositories:
    if not Repositories.exist(root):
        raise HubError(f"{root}: is no Hub's folder. Make one with: recipes hub seed, or recipes hub serve")
    return Repositories(root)


def _all(repositories: Repositories) -> Iterator[Repository]:
    for kind in KINDS:
        yield from repositories.all(kind)


def _loose_ends(repositories: Repositories, repository: Repository, commits: dict[str, Commit]) -> Iterator[Damage]:
    """References and commits that lead to commits which are not here."""
    place = f"{repository.kind} {repository.name}"
    references = repositories.references(repository)
    if not any((ref.type, ref.name) == ("branch", "main") for ref in references):
        yield Damage(place, "has no branch 'main'")
    for ref in references:
        if ref.sha not in commits:
            yield Damage(f"{place}: {ref.type} {ref.name}", f"leads to commit {ref.sha[:12]}, which is not here")
    for commit in commits.values():
        if commit.parent and commit.parent not in commits:
            yield Damage(f"{place}@{commit.sha[:12]}", f"has the parent {commit.parent[:12]}, which is not here")


def _wrong(entry: Entry, found: tuple[str, str, int] | None) -> str:
    """What is wrong with the content of a file; empty when nothing is."""
    if found is None:
        return f"its content {entry.sha256[:12]} is not here"
    sha256, git, size = found
    if (sha256, size) != (entry.sha256, entry.size):
        return (
            f"its content has {size} bytes and SHA-256 {sha256[:12]}, recorded are {entry.size} and {entry.sha256[:12]}"
        )
    oid = protocol.large_entry(sha256, size).oid if entry.large else git
    return "" if oid == entry.oid else f"git's digest is {oid[:12]}, recorded is {entry.oid[:12]}"


def _digests(file: Path) -> tuple[str, str, int]:
    """SHA-256, git's SHA-1 and bytes of a content."""
    size = file.stat().st_size
    sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            sha256.update(chunk)
            git.update(chunk)
    return sha256.hexdigest(), git.hexdigest(), size


def _bytes(place: Path) -> int:
    files = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)

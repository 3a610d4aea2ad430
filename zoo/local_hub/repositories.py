"""Repositories, commits, branches and tags, in the Hub's SQLite file.

A commit holds its whole listing (path -> content) as JSON: repositories here have tens of files, and a read needs no
walk.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from zoo.local_hub.database import FILE_NAME, Database, now
from zoo.local_hub.names import Kind, reference
from zoo.local_hub.refusal import Refused, repository_not_found, revision_not_found
from zoo.local_hub.state import Commit, Entry, Reference, Repository

__all__ = ["Repositories"]

_SHORTEST_PREFIX = 7
_COMMITS = "SELECT sha, parent, title, message, date, files FROM commits WHERE repository = ?"


class Repositories:
    """Everything but contents. Each call is one transaction on a connection of its own: any thread, any process."""

    def __init__(self, root: Path) -> None:
        self._transaction = Database(root).transaction

    @staticmethod
    def exist(root: Path) -> bool:
        """Whether there are any under a root; asking makes none."""
        return (root / FILE_NAME).is_file()

    def create(
        self, kind: Kind, name: str, private: bool, details: Mapping[str, object], files: Mapping[str, Entry]
    ) -> Repository:
        """A new repository with one commit on `main`.

        Raises Refused (409) when there is one of that kind and name.
        """
        with self._transaction() as database:
            if _find(database, kind, name):
                raise Refused(409, f"You already created this {kind} repo: {name}")
            row = (kind, name, private, now(), json.dumps(details))
            statement = "INSERT INTO repositories (kind, name, private, created, details) VALUES (?, ?, ?, ?, ?)"
            number = database.execute(statement, row).lastrowid
            sha = _add_commit(database, number or 0, None, "initial commit", "", files)
            database.execute("INSERT INTO refs VALUES (?, 'branch', 'main', ?)", (number, sha))
            return _get(database, kind, name)

    def get(self, kind: Kind, name: str) -> Repository:
        """Raises Refused (404)."""
        with self._transaction(write=False) as database:
            return _get(database, kind, name)

    def all(self, kind: Kind) -> list[Repository]:
        """Every repository of a kind, the newest first."""
        with self._transaction(write=False) as database:
            rows = database.execute("SELECT * FROM repositories WHERE kind = ? ORDER BY id DESC", (kind,)).fetchall()
            return [_repository(row) for row in rows]

    def delete(self, kind: Kind, name: str) -> None:
        """Raises Refused (404). Its contents stay until `Blobs.sweep`."""
        with self._transaction() as database:
            database.execute("DELETE FROM repositories WHERE id = ?", (_get(database, kind, name).id,))

    def move(self, kind: Kind, name: str, to: str) -> None:
        """Give it another name.

        Raises Refused (404) when there is none, (409) when the other name is taken.
        """
        with self._transaction() as database:
            repository = _get(database, kind, name)
            if _find(database, kind, to):
                raise Refused(409, f"There already is a {kind} {to}.")
            database.execute("UPDATE repositories SET name = ? WHERE id = ?", (to, repository.id))

    def change(
        self, repository: Repository, private: bool | None = None, details: Mapping[str, object] | None = None
    ) -> Repository:
        """Set whether it is private, and merge `details` into its own, one level deep."""
        with self._transaction() as database:
            current = _get(database, repository.kind, repository.name)
            merged = json.dumps({**current.details, **(details or {})})
            row = (current.private if private is None else private, merged, current.id)
            database.execute("UPDATE repositories SET private = ?, details = ? WHERE id = ?", row)
            return _get(database, repository.kind, repository.name)

    def references(self, repository: Repository) -> list[Reference]:
        """Branches, tags and pull requests, by name."""
        with self._transaction(write=False) as database:
            rows = database.execute(
                "SELECT type, name, sha FROM refs WHERE repository = ? ORDER BY name", (repository.id,)
            )
            return [Reference(*row) for row in rows]

    def resolve(self, repository: Repository, revision: str) -> Commit:
        """The commit of a branch, tag, pull request (`refs/pr/1`), commit, or prefix of 7 digits and more.

        Raises Refused (404).
        """
        with self._transaction(write=False) as database:
            return _resolve(database, repository, revision)

    def history(self, repository: Repository, revision: str) -> list[Commit]:
        """From a revision back to the first commit.

        Raises Refused (404).
        """
        with self._transaction(write=False) as database:
            commits = [_resolve(database, repository, revision)]
            while parent := commits[-1].parent:
                commits.append(_resolve(database, repository, parent))
            return commits

    def commit(
        self,
        repository: Repository,
        branch: str,
        title: str,
        message: str,
        change: Callable[[dict[str, Entry]], None],
        parent: str = "",
        pull: bool = False,
    ) -> tuple[str, int]:
        """Add a commit and move the branch to it, or open a pull request with it.

        `change` edits the listing in place, inside the transaction; whatever it raises undoes everything. Returns the
        commit and the pull request's number (0 for none).

        Raises Refused (404) when there is no such branch, (412) when it is not at `parent` any more.
        """
        with self._transaction() as database:
            head = _resolve(database, repository, branch)
            if parent and not head.sha.startswith(parent):
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
            files = dict(head.files)
            change(files)
            sha = _add_commit(database, repository.id, head.sha, title, message, files)
            if pull:
                return sha, _open_pull(database, repository, sha)
            query = "UPDATE refs SET sha = ? WHERE repository = ? AND name = ? AND type != 'tag'"
            if not database.execute(query, (sha, repository.id, branch)).rowcount:
                raise Refused(404, f"{branch!r} is no branch of {repository.name}: commit to one.", "RevisionNotFound")
            return sha, 0

    def squash(self, repository: Repository, branch: str, title: str) -> None:
        """Make the branch one commit without a parent. The old ones stay reachable by their names.

        Raises Refused (404).
        """
        with self._transaction() as database:
            head = _resolve(database, repository, branch)
            sha = _add_commit(database, repository.id, None, title, "", head.files)
            query = "UPDATE refs SET sha = ? WHERE repository = ? AND name = ? AND type = 'branch'"
            if not database.execute(query, (sha, repository.id, branch)).rowcount:
                raise Refused(404, f"{branch!r} is no branch of {repository.name}.", "RevisionNotFound")

    def add_reference(self, repository: Repository, type: str, name: str, revision: str) -> None:
        """A new branch or tag at a revision.

        Raises Refused (404) when there is no such revision, (409) when the name is taken.
        """
        reference(name)
        with self._transaction() as database:
            sha = _resolve(database, repository, revision).sha
            try:
                database.execute("INSERT INTO refs VALUES (?, ?, ?, ?)", (repository.id, type, name, sha))
            except sqlite3.IntegrityError:
                raise Refused(409, f"{type.capitalize()} reference already exists: {name}") from None

    def delete_reference(self, repository: Repository, type: str, name: str) -> None:
        """Raises Refused (403) for `main`, (404) when there is none."""
        if (type, name) == ("branch", "main"):
            raise Refused(403, "Cannot delete the default branch 'main'.")
        with self._transaction() as database:
            query = "DELETE FROM refs WHERE repository = ? AND type = ? AND name = ?"
            if not database.execute(query, (repository.id, type, name)).rowcount:
                raise revision_not_found(repository.name, name)

    def commits(self, repository: Repository) -> list[Commit]:
        """Every commit there is, also those that no branch or tag leads to."""
        with self._transaction(write=False) as database:
            return [_commit(row) for row in database.execute(_COMMITS, (repository.id,))]

    def used_contents(self, without: Collection[tuple[int, str]] = ()) -> set[str]:
        """The SHA-256 of every content that some commit holds; `without` some commits (repository's id, SHA)."""
        with self._transaction(write=False) as database:
            rows = database.execute("SELECT repository, sha, files FROM commits")
            return {
                entry[2]
                for number, sha, files in rows
                if (number, sha) not in without
                for entry in json.loads(files).values()
            }

    def unreachable(self, before: str) -> set[tuple[int, str]]:
        """The commits (repository's id, SHA) that no branch, tag or pull request leads to, made before a date."""
        with self._transaction(write=False) as database:
            parents = {
                (row[0], row[1]): row[2] for row in database.execute("SELECT repository, sha, parent FROM commits")
            }
            reached: set[tuple[int, str]] = set()
            for number, sha in database.execute("SELECT repository, sha FROM refs"):
                while sha and (number, sha) not in reached:
                    reached.add((number, sha))
                    sha = parents.get((number, sha))
            old = {
                (row[0], row[1])
                for row in database.execute("SELECT repository, sha FROM commits WHERE date < ?", (before,))
            }
        return old - reached

    def forget(self, commits: Collection[tuple[int, str]]) -> None:
        """Delete commits, unless a branch or tag was put on one in the meantime."""
        with self._transaction() as database:
            query = (
                "DELETE FROM commits WHERE repository = ?1 AND sha = ?2 AND NOT EXISTS "
                "(SELECT 1 FROM refs WHERE refs.repository = ?1 AND refs.sha = ?2)"
            )
            database.executemany(query, sorted(commits))


def _repository(row: tuple[int, Kind, str, int, str, str]) -> Repository:
    number, kind, name, private, created, details = row
    return Repository(number, kind, name, bool(private), created, json.loads(details))


def _find(database: sqlite3.Connection, kind: Kind, name: str) -> Repository | None:
    row = database.execute("SELECT * FROM repositories WHERE kind = ? AND name = ?", (kind, name)).fetchone()
    return _repository(row) if row else None


def _get(database: sqlite3.Connection, kind: Kind, name: str) -> Repository:
    if found := _find(database, kind, name):
        return found
    raise repository_not_found(kind, name)


def _resolve(database: sqlite3.Connection, repository: Repository, revision: str) -> Commit:
    query = "SELECT sha FROM refs WHERE repository = ? AND name = ? ORDER BY type = 'tag'"
    named = database.execute(query, (repository.id, revision)).fetchone()
    wanted = named[0] if named else revision
    row = database.execute(f"{_COMMITS} AND sha = ?", (repository.id, wanted)).fetchone()
    if row is None and len(wanted) >= _SHORTEST_PREFIX and wanted.isalnum():
        rows = database.execute(f"{_COMMITS} AND sha GLOB ? LIMIT 2", (repository.id, wanted + "*")).fetchall()
        row = rows[0] if len(rows) == 1 else None
    if row is None:
        raise revision_not_found(repository.name, revision)
    return _commit(row)


def _commit(row: tuple[str, str | None, str, str, str, str]) -> Commit:
    sha, parent, title, message, date, files = row
    return Commit(sha, parent, title, message, date, {path: Entry(*entry) for path, entry in json.loads(files).items()})


def _add_commit(
    database: sqlite3.Connection, number: int, parent: str | None, title: str, message: str, files: Mapping[str, Entry]
) -> str:
    listing = {path: (entry.oid, entry.size, entry.sha256, entry.large) for path, entry in sorted(files.items())}
    text = json.dumps(listing, ensure_ascii=False)
    date = now()
    # The clock is part of the name, so that equal contents committed twice, here or on another Hub, are two commits and
    # a cache that is shared between Hubs cannot take one for the other.
    identity = json.dumps([number, parent, title, message, date, time.time_ns(), text])
    sha = hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()
    row = (number, sha, parent, title, message, date, text)
    database.execute("INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return sha


def _open_pull(database: sqlite3.Connection, repository: Repository, sha: str) -> int:
    query = "SELECT COUNT(*) FROM refs WHERE repository = ? AND type = 'pull'"
    pull = int(database.execute(query, (repository.id,)).fetchone()[0]) + 1
    database.execute("INSERT INTO refs VALUES (?, 'pull', ?, ?)", (repository.id, f"refs/pr/{pull}", sha))
    return pull

"""The one SQLite file of a Hub: its layout, and transactions on it.

SQLite and not JSON files: moving a branch, adding the commit that it moves to and checking that nobody moved it in the
meantime is one transaction, kill -9 at any instant leaves the state before or after it, and several server processes on
one root take turns without a lock file of ours. The rollback journal, not the write-ahead log, since the latter needs
memory shared between processes, which network file systems do not give.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from zoo.errors import HubError

__all__ = ["FILE_NAME", "Database", "now"]

FILE_NAME = "hub.sqlite"

# Layout 2 adds the tables of tokens and collections to layout 1, and changes nothing that was there.
_LAYOUT = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS repositories (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, private INTEGER NOT NULL, created TEXT NOT NULL,
    details TEXT NOT NULL, UNIQUE (kind, name));
CREATE TABLE IF NOT EXISTS commits (
    repository INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE, sha TEXT NOT NULL, parent TEXT,
    title TEXT NOT NULL, message TEXT NOT NULL, date TEXT NOT NULL, files TEXT NOT NULL, PRIMARY KEY (repository, sha));
CREATE TABLE IF NOT EXISTS refs (
    repository INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE, type TEXT NOT NULL, name TEXT NOT NULL,
    sha TEXT NOT NULL, PRIMARY KEY (repository, type, name));
CREATE TABLE IF NOT EXISTS tokens (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, digest TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS collections (
    slug TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL,
    private INTEGER NOT NULL, theme TEXT NOT NULL, updated TEXT NOT NULL, items TEXT NOT NULL);
"""


class Database:
    """Each transaction has a connection of its own: any thread, any process."""

    def __init__(self, root: Path) -> None:
        self._file = root / FILE_NAME
        with self.transaction(write=False) as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] == _LAYOUT:
                return
        with self.transaction() as connection:
            layout = connection.execute("PRAGMA user_version").fetchone()[0]
            if layout not in range(_LAYOUT + 1):
                raise HubError(f"{self._file}: has layout {layout}, this version reads {_LAYOUT}. Use another folder.")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_LAYOUT}")

    @contextmanager
    def transaction(self, write: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing: whatever the block raises undoes it."""
        connection = sqlite3.connect(self._file, timeout=60, isolation_level=None)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()


def now() -> str:
    """The time as the Hub writes it: UTC, in milliseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

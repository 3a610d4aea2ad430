"""Collections: named lists of repositories, in the Hub's SQLite file."""

import json
import re
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.local_hub.database import Database, now
from zoo.local_hub.refusal import Refused

__all__ = ["Collection", "Collections", "Item"]

_MOST_ITEMS = 1000


@dataclass(frozen=True)
class Item:
    """One entry of a collection."""

    key: str
    """Names the entry inside its collection; the repository may have it in others."""
    id: str
    """`owner/name`."""
    type: str
    """`model`, `dataset` or `space`."""
    note: str = ""


@dataclass(frozen=True)
class Collection:
    """A named list of repositories."""

    slug: str
    """`owner/words-of-its-title-24hexdigits`, its address for good."""
    owner: str
    title: str
    description: str
    private: bool
    theme: str
    updated: str
    items: tuple[Item, ...] = ()


class Collections:
    """The collections of a root."""

    def __init__(self, root: Path) -> None:
        self._transaction = Database(root).transaction

    def create(self, owner: str, title: str, description: str, private: bool) -> Collection:
        """A new one, empty.

        Raises Refused (409) with the slug of the owner's collection of that title, when there is one.
        """
        with self._transaction() as database:
            row = database.execute("SELECT slug FROM collections WHERE owner = ? AND title = ?", (owner, title))
            if found := row.fetchone():
                raise Refused(409, f"There already is a collection {found[0]}", existing=found[0])
            words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-") or "collection"
            slug = f"{owner}/{words}-{secrets.token_hex(12)}"
            made = Collection(slug, owner, title, description, private, "blue", now())
            _write(database, made)
            return made

    def get(self, slug: str) -> Collection:
        """Raises Refused (404)."""
        with self._transaction(write=False) as database:
            return _get(database, slug)

    def all(self) -> list[Collection]:
        """Every collection, the newest change first."""
        with self._transaction(write=False) as database:
            rows = database.execute("SELECT * FROM collections ORDER BY updated DESC, slug").fetchall()
        return [_collection(row) for row in rows]

    def change(self, slug: str, edit: Callable[[Collection], Collection]) -> Collection:
        """Replace a collection by what `edit` makes of it, in one transaction.

        Raises Refused (404).
        """
        with self._transaction() as database:
            changed = replace(edit(_get(database, slug)), updated=now())
            _write(database, changed)
            return changed

    def add(self, slug: str, id: str, type: str, note: str) -> Collection:
        """Append an entry.

        Raises Refused (404), (409) when it is there already, (400) when the collection is full.
        """

        def edit(old: Collection) -> Collection:
            if any((item.id, item.type) == (id, type) for item in old.items):
                raise Refused(409, f"{id} is in {slug} already.")
            if len(old.items) >= _MOST_ITEMS:
                raise Refused(400, f"A collection holds at most {_MOST_ITEMS} entries.")
            return replace(old, items=(*old.items, Item(secrets.token_hex(12), id, type, note)))

        return self.change(slug, edit)

    def delete(self, slug: str) -> None:
        """Raises Refused (404)."""
        with self._transaction() as database:
            _get(database, slug)
            database.execute("DELETE FROM collections WHERE slug = ?", (slug,))


def _get(database: sqlite3.Connection, slug: str) -> Collection:
    row = database.execute("SELECT * FROM collections WHERE slug = ?", (slug,)).fetchone()
    if row is None:
        raise Refused(404, f"This Hub has no collection {slug!r}, or your token does not open it.")
    return _collection(row)


def _collection(row: tuple[str, str, str, str, int, str, str, str]) -> Collection:
    *head, private, theme, updated, items = row
    slug, owner, title, description = (str(value) for value in head)
    listed = tuple(Item(**item) for item in json.loads(items))
    return Collection(slug, owner, title, description, bool(private), theme, updated, listed)


def _write(database: sqlite3.Connection, collection: Collection) -> None:
    items: list[Mapping[str, str]] = [vars(item) for item in collection.items]
    row = (
        collection.slug,
        collection.owner,
        collection.title,
        collection.description,
        collection.private,
        collection.theme,
        collection.updated,
        json.dumps(items),
    )
    database.execute("REPLACE INTO collections VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

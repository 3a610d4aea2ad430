"""Who may enter a Hub: its owner's token, and others with the right to read or to write.

A token is shown once, when it is made; kept is its SHA-256, which is enough for 136 random bits. The owner's token is
the file `token` in the Hub's folder and is no part of this table.
"""

import hashlib
import hmac
import re
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo.errors import HubError, did_you_mean
from zoo.local_hub.database import Database, now

__all__ = ["OWNER", "Role", "Token", "Tokens", "new_secret"]

OWNER = "owner"

Role = Literal["read", "write"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Token:
    """What is known of a token; the token itself is not."""

    name: str
    role: Role
    created: str
    """UTC, ISO 8601."""


def new_secret() -> str:
    """A fresh token's text."""
    return "hf_" + secrets.token_hex(17)


class Tokens:
    """The tokens of a root besides its owner's."""

    def __init__(self, root: Path) -> None:
        self._database = Database(root)

    def add(self, name: str, role: Role) -> str:
        """Make a token; returns its text, which cannot be asked for again.

        Raises HubError when the name is taken or is none.
        """
        if not _NAME.fullmatch(name) or name == OWNER:
            raise HubError(f"{name!r} cannot name a token: letters, digits, '.', '_', '-', at most 64, not {OWNER!r}.")
        secret = new_secret()
        try:
            with self._database.transaction() as connection:
                connection.execute("INSERT INTO tokens VALUES (?, ?, ?, ?)", (name, role, _digest(secret), now()))
        except sqlite3.IntegrityError:
            raise HubError(f"there is a token {name!r} already; revoke it first, or choose another name") from None
        return secret

    def all(self) -> list[Token]:
        """Every token, by name."""
        with self._database.transaction(write=False) as connection:
            rows = connection.execute("SELECT name, role, created FROM tokens ORDER BY name").fetchall()
        return [Token(*row) for row in rows]

    def revoke(self, name: str) -> None:
        """Raises HubError when there is no such token."""
        with self._database.transaction() as connection:
            gone = connection.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount
        if not gone:
            known = [token.name for token in self.all()]
            raise HubError(f"there is no token {name!r}; {did_you_mean(name, known) or 'there is none at all'}")

    def find(self, secret: str) -> Token | None:
        """The token of a text. Every digest is compared, each in constant time: how long it takes tells nothing."""
        wanted, found = _digest(secret), None
        with self._database.transaction(write=False) as connection:
            rows = connection.execute("SELECT name, role, created, digest FROM tokens").fetchall()
        for name, role, created, digest in rows:
            if hmac.compare_digest(digest, wanted):
                found = Token(name, role, created)
        return found


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()

"""Same meaning, same hex: digests of plain data and of files."""

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["of_data", "of_file"]

_CHUNK_BYTES = 1 << 20


def of_data(data: Any) -> str:
    """The sha256 of plain data (dicts, lists, strings, numbers, None); key order does not matter.

    >>> of_data({"a": 1, "b": 2.0}) == of_data({"b": 2.0, "a": 1})
    True
    """
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def of_file(path: Path) -> str:
    """The sha256 of a file's bytes, read in chunks of one MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()

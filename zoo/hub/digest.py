"""What a file on this machine is called by a Hub: its SHA-256, or git's own SHA-1."""

import hashlib
from pathlib import Path

__all__ = ["is_content"]

_CHUNK_BYTES = 1 << 20


def is_content(file: Path, digest: str) -> bool:
    """Whether a file's content has a digest: SHA-256 (64 digits) of large files, git's SHA-1 of a blob (40) of others.

    A digest of another length is none that can be checked, and counts as wrong.
    """
    if len(digest) == 64:
        hash = hashlib.sha256()
    elif len(digest) == 40:
        hash = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    else:
        return False
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hash.update(chunk)
    return hash.hexdigest() == digest

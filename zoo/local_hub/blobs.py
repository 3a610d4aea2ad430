"""Contents on disk, by SHA-256.

A content arrives in a file of `incoming/`, is hashed while it is written, synced to the disk and only then renamed to
its digest under `blobs/`. So a file under `blobs/` is whole whatever instant the process was killed at, two processes
that write the same content agree, and what a killed one left in `incoming/` is rubbish that `sweep` takes away by age.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO

from zoo.local_hub.refusal import Refused

__all__ = ["Blobs", "Incoming"]

_DAY_SECONDS = 24 * 3600.0


class Incoming:
    """A content on its way in, of a size and digest that were announced."""

    def __init__(self, blobs: "Blobs", file: BinaryIO, part: Path, sha256: str, size: int) -> None:
        self._blobs = blobs
        self._file = file
        self._part = part
        self._sha256 = sha256
        self._size = size
        self._hash = hashlib.sha256()
        self._seen = 0

    def write(self, chunk: bytes) -> None:
        """Append a chunk.

        Raises Refused (422) as soon as there are more bytes than were announced.
        """
        self._seen += len(chunk)
        if self._seen > self._size:
            raise Refused(422, f"The upload is longer than the {self._size} bytes that were announced.")
        self._hash.update(chunk)
        self._file.write(chunk)

    def keep(self) -> None:
        """Make it a blob.

        Raises Refused (422) when it is shorter than announced or its digest is another.
        """
        if self._seen != self._size:
            raise Refused(422, f"The upload ended after {self._seen} of {self._size} bytes.")
        if self._hash.hexdigest() != self._sha256:
            raise Refused(422, f"The upload's SHA-256 is {self._hash.hexdigest()}, announced was {self._sha256}.")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._blobs.adopt(self._part, self._sha256)


class Blobs:
    """The folder of contents under a Hub's root."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "blobs"
        self._incoming = root / "incoming"
        for folder in (self._folder, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where a content is, or would be."""
        return self._folder / sha256[:2] / sha256

    def size(self, sha256: str) -> int | None:
        """Bytes of a content that is here, else None."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def all(self) -> list[Path]:
        """The file of every content."""
        return sorted(self._folder.glob("??/*"))

    def refresh(self, sha256: str) -> None:
        """Start its age again: an upload was told that it is here and is about to commit it."""
        os.utime(self.path(sha256))

    def put(self, content: bytes) -> str:
        """Keep a small content; returns its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        if self.size(digest) == len(content):
            self.refresh(digest)
            return digest
        with self.receive(digest, len(content)) as incoming:
            incoming.write(content)
            incoming.keep()
        return digest

    @contextmanager
    def receive(self, sha256: str, size: int) -> Iterator[Incoming]:
        """Take in a content chunk by chunk; unless `keep` was called, nothing of it remains."""
        descriptor, name = mkstemp(dir=self._incoming, prefix=f"{sha256[:12]}-")
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield Incoming(self, file, part, sha256, size)
        finally:
            part.unlink(missing_ok=True)

    def parts(self, upload: str) -> Path:
        """The file that the parts of one upload are written into, each at its place."""
        return self._incoming / f"{upload}.parts"

    def join(self, upload: str, sha256: str, size: int) -> None:
        """Make a blob of the parts of an upload.

        Raises Refused (404) when there are none, (422) when they are not the content that was announced; the parts are
        gone then, and the client starts again.
        """
        part = self.parts(upload)
        if self.size(sha256) == size:
            part.unlink(missing_ok=True)
            return
        try:
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                found = os.fstat(file.fileno()).st_size
                os.fsync(file.fileno())
        except FileNotFoundError:
            raise Refused(404, "No part of this upload has arrived.") from None
        if (digest, found) != (sha256, size):
            part.unlink(missing_ok=True)
            raise Refused(422, f"The joined parts have {found} bytes and SHA-256 {digest}, announced was {sha256}.")
        self.adopt(part, sha256)

    def take(self, file: Path, sha256: str, size: int) -> None:
        """Make a blob of a file that lies under `incoming/`.

        Raises Refused (422) when it is not the content that was announced.
        """
        with file.open("rb") as stream:
            digest, found = hashlib.file_digest(stream, "sha256").hexdigest(), os.fstat(stream.fileno()).st_size
            os.fsync(stream.fileno())
        if (digest, found) != (sha256, size):
            raise Refused(422, f"The file has {found} bytes and SHA-256 {digest}, announced was {sha256}.")
        self.adopt(file, sha256)

    def adopt(self, part: Path, sha256: str) -> None:
        """Rename a whole, synced and checked file to its digest."""
        target = self.path(sha256)
        target.parent.mkdir(exist_ok=True)
        part.chmod(0o644)
        part.replace(target)
        for folder in (target.parent, self._folder):
            _sync_folder(folder)

    def sweep(self, used: Collection[str], older_seconds: float = _DAY_SECONDS) -> int:
        """Delete what no commit uses and what killed uploads left, both only when older than a day, so that an upload
        under way in any process loses nothing. Returns how many files went."""
        stale = self.unused(used, older_seconds)
        for file in stale:
            if file.is_dir():  # what a client of Xet stored
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)
        return len(stale)

    def unused(self, used: Collection[str], older_seconds: float) -> list[Path]:
        """What `sweep` would delete."""
        before = time.time() - older_seconds
        stale = [file for file in self._incoming.iterdir() if _modified(file) < before]
        return stale + [
            file for file in self._folder.glob("??/*") if file.name not in used and _modified(file) < before
        ]


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _sync_folder(folder: Path) -> None:
    """A rename survives a power cut only once its folder is on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

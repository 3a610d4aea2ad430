"""Finished stages on disk, by key.

    <root>/stages/<key>/           an artifact: its files and, written last, stage.json
    <root>/stages/<key>.part/      an artifact in the making; what a crash left is cleared away by the next try
    <root>/scratch/<key>/          checkpoints of a stage that is not finished; gone when it is
    <root>/logs/<key>.log          what the stage printed, all tries

A folder is renamed into place whole, so one that has no stage.json does not exist.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from zoo import fingerprint, records
from zoo.errors import CacheError, RunLocked
from zoo.records import StageRecord

__all__ = ["Cache", "Finished", "default_root"]


def default_root() -> Path:
    """`$EDGEZOO_HOME`, else `edgezoo` in the user's cache folder (`$XDG_CACHE_HOME`, else `~/.cache`)."""
    if home := os.environ.get("EDGEZOO_HOME"):
        return Path(home).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "edgezoo"


@dataclass(frozen=True)
class Finished:
    """A finished stage: where it lies and what is known of it."""

    folder: Path
    record: StageRecord


@dataclass(frozen=True)
class Cache:
    """The stages below one root. Several processes may use one root: a key is made by one at a time."""

    root: Path

    def find(self, key: str) -> Finished | None:
        """The finished stage of a key, or None.

        Raises CacheError when the folder is there and is not what its record says: a file is missing or has another
        size. Digests are compared by `check_digests`, since reading gigabytes is too slow for a plan.
        """
        folder = self.root / "stages" / key
        if not (folder / records.RECORD_NAME).is_file():
            return None
        try:
            record = records.read(folder)
        except ValueError as error:
            raise _damaged(folder, str(error)) from error
        for name, facts in record.files.items():
            file = folder / name
            if not file.is_file():
                raise _damaged(folder, f"{name} is missing")
            if file.stat().st_size != facts["bytes"]:
                raise _damaged(folder, f"{name} has {file.stat().st_size} bytes instead of {facts['bytes']}")
        return Finished(folder, record)

    def check_digests(self, finished: Finished) -> None:
        """Read every file of a finished stage. Raises CacheError when one has other content than its record says."""
        for name, facts in finished.record.files.items():
            if fingerprint.of_file(finished.folder / name) != facts["sha256"]:
                raise _damaged(finished.folder, f"{name} has other content than when it was made")

    def begin(self, key: str) -> Path:
        """A fresh, empty folder for the artifact of a key."""
        part = self.root / "stages" / f"{key}.part"
        if part.exists():
            shutil.rmtree(part)
        part.mkdir(parents=True)
        return part

    def finish(self, key: str, record: StageRecord) -> Finished:
        """Write the record of what `begin` gave and rename the folder into place; scratch is no longer needed."""
        part = self.root / "stages" / f"{key}.part"
        folder = self.root / "stages" / key
        records.write(record, part)
        if folder.exists():
            shutil.rmtree(folder)
        part.replace(folder)
        shutil.rmtree(self.root / "scratch" / key, ignore_errors=True)
        return Finished(folder, record)

    def forget(self, key: str) -> None:
        """Remove a finished stage and whatever an unfinished one left."""
        for folder in (self.root / "stages" / key, self.root / "stages" / f"{key}.part", self.root / "scratch" / key):
            shutil.rmtree(folder, ignore_errors=True)

    def scratch(self, key: str) -> Path:
        """The folder of a stage that survives its crash."""
        folder = self.root / "scratch" / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def has_scratch(self, key: str) -> bool:
        """Whether an unfinished try left something to go on from."""
        folder = self.root / "scratch" / key
        return folder.is_dir() and any(folder.iterdir())

    def log_file(self, key: str) -> Path:
        """Where a stage's output goes."""
        folder = self.root / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{key}.log"

    @contextmanager
    def lock(self, name: str, wait_seconds: float = 0) -> Iterator[None]:
        """Hold a name against every other process that uses this root.

        Raises RunLocked, naming the process that holds it. The lock goes with its process, however that ends.
        """
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        holder = folder / f"{name}.pid"
        lock = FileLock(folder / f"{name}.lock", timeout=wait_seconds)
        try:
            lock.acquire()
        except Timeout as error:
            pid = holder.read_text() if holder.exists() else "unknown"
            raise RunLocked(
                f"{name}: another run is going on (process {pid}); wait for it, or end it with: kill {pid}"
            ) from error
        try:
            holder.write_text(str(os.getpid()))
            yield
        finally:
            lock.release()


def _damaged(folder: Path, what: str) -> CacheError:
    return CacheError(f"{folder}: {what}; remove the folder, or run again with --force for that stage, to make it anew")

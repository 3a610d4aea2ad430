"""Files on their way into a publication: found by patterns, linked where large, written where they are made."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["add", "link", "matching"]


def add(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write each content under its path."""
    for name, content in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def link(source: Path, target: Path) -> None:
    """A hard link; a copy where the two lie on different disks. `source` may be a link into a Hub's cache."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """The files of a folder that patterns name, pattern by pattern."""
    return [file for pattern in patterns for file in sorted(folder.glob(pattern)) if file.is_file()]

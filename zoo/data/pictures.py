"""The pictures of a dataset's row: a path within the dataset, or the bytes themselves."""

from pathlib import Path
from typing import Any

from zoo.errors import DataError

__all__ = ["Picture", "UnusablePicture", "pictures_of", "save", "suffix_of"]

Picture = bytes | Path
_SUFFIXES = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg"}
"""First bytes of a file -> how its name ends."""


class UnusablePicture(Exception):
    """Why a picture cannot be used, and its row neither."""


def pictures_of(record: dict[str, Any], root: Path, folder: Path) -> list[Picture]:
    """The pictures in `images` (a list) or `image` (one), as datasets store them: a path, or `bytes` and `path`.

    A path is looked for beside the data file, then from the root of the dataset.

    Raises UnusablePicture when one is missing or neither PNG nor JPEG, DataError when a path leaves the dataset.
    """
    given = record.get("images") if record.get("images") is not None else record.get("image")
    pictures = [_picture(one, root, folder) for one in (given if isinstance(given, list) else [given]) if one]
    for picture in pictures:
        suffix_of(picture)
    return pictures


def save(picture: Picture, out: Path, name: str) -> str:
    """Copy a picture to `out/images`; its path relative to `out`."""
    (out / "images").mkdir(exist_ok=True)
    path = f"images/{name}{suffix_of(picture)}"
    (out / path).write_bytes(picture if isinstance(picture, bytes) else picture.read_bytes())
    return path


def _picture(given: Any, root: Path, folder: Path) -> Picture:
    content = given.get("bytes") if isinstance(given, dict) else None
    if isinstance(content, bytes):
        return content
    path = given.get("path") if isinstance(given, dict) else given
    if not isinstance(path, str):
        raise UnusablePicture("a picture that is neither bytes nor a path")
    for base in (folder, root):
        file = (base / path).resolve()
        if not file.is_relative_to(root.resolve()):
            raise DataError(f"{root}: the picture {path!r} lies outside the dataset; use paths within it")
        if file.is_file():
            return file
    raise UnusablePicture("a picture that is not there")


def suffix_of(picture: Picture) -> str:
    """How the name of a picture's file ends. Raises UnusablePicture when it is neither PNG nor JPEG."""
    if isinstance(picture, bytes):
        start = picture[:8]
    else:
        with picture.open("rb") as file:
            start = file.read(8)
    for magic, suffix in _SUFFIXES.items():
        if start.startswith(magic):
            return suffix
    raise UnusablePicture("a picture that is neither PNG nor JPEG")

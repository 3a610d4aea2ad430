"""What a repository, a branch, a tag and a file may be called; everything from outside passes through here."""

import re
from typing import Literal

from zoo.local_hub.refusal import Refused

__all__ = ["KINDS", "Kind", "file_path", "kind", "reference", "repository", "sha256"]

Kind = Literal["model", "dataset", "space"]
KINDS: tuple[Kind, ...] = ("model", "dataset", "space")

_LONGEST_PATH = 1024
_LONGEST_SEGMENT_BYTES = 255
_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def kind(text: str) -> Kind:
    """`model`, `dataset` or `space`.

    Raises Refused (400) for anything else, such as the Hub's `kernel` and `bucket`.
    """
    if text not in KINDS:
        raise Refused(400, f"This Hub keeps models, datasets and Spaces, no {text!r}.")
    return text


def repository(owner: str, name: str) -> str:
    """`owner/name`, with the same rules as `huggingface_hub.utils.validate_repo_id`.

    Raises Refused (400).

    >>> repository("edgezoo", "phone-135m")
    'edgezoo/phone-135m'
    """
    for part in (owner, name):
        if not _PART.fullmatch(part) or "--" in part or ".." in part or part.endswith(".git"):
            raise Refused(
                400,
                f"{part!r} cannot be part of a repository's name: letters, digits, '-', '_' and '.', at most 96, "
                "no '--' or '..', no '-' or '.' at an end, and not ending in '.git'.",
            )
    return f"{owner}/{name}"


def reference(name: str) -> str:
    """A new branch's or tag's name, after git's rules.

    Raises Refused (400), also for what looks like a commit, since it would hide that commit.
    """
    segments = name.split("/")
    wrong = (
        not _REFERENCE.fullmatch(name)
        or ".." in name
        or any(not segment or segment.startswith(".") or segment.endswith((".", ".lock")) for segment in segments)
        or segments[0] == "refs"
    )
    if wrong or _COMMIT.fullmatch(name):
        raise Refused(400, f"{name!r} cannot name a branch or tag: letters, digits, '.', '_', '-', '/', at most 255.")
    return name


def file_path(path: object) -> str:
    """A file's path inside a repository, relative, with `/` between its segments.

    Contents are kept by digest, so no path here ever reaches this machine's file system; the rules protect whoever
    downloads the repository.

    Raises Refused (400) for an absolute path, an empty, `.`, `..` or `.git` segment, a backslash, a control character,
    a segment of more than 255 bytes, or more than 1024 characters.
    """
    if not isinstance(path, str) or not path or len(path) > _LONGEST_PATH:
        raise Refused(400, f"A path must be text of 1 to {_LONGEST_PATH} characters.")
    if "\\" in path or not path.isprintable():
        raise Refused(400, f"{path!r} holds a backslash or a control character.")
    for segment in path.split("/"):
        if segment in ("", ".", "..") or segment.lower() == ".git":
            raise Refused(400, f"{path!r} has the segment {segment!r}; write a relative path that stays inside.")
        if len(segment.encode("utf-8", "replace")) > _LONGEST_SEGMENT_BYTES:
            raise Refused(400, f"{path[:80]!r}... has a segment of more than {_LONGEST_SEGMENT_BYTES} bytes.")
    return path


def sha256(text: object) -> str:
    """64 lower-case hexadecimal digits.

    Raises Refused (400).
    """
    if not isinstance(text, str) or not _SHA256.fullmatch(text):
        raise Refused(400, "An object's id must be the 64 hexadecimal digits of its SHA-256.")
    return text

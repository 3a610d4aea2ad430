"""Whether two models read and write the same tokens, from their tokenizers' files, before any weights are loaded.

A teacher's distribution can be compared with a student's when number i is the same token for both. Configs may pad the
embedding to other lengths, and one side may have further tokens at the end: what counts are the first tokens that both
have. Merges, normalisers and chat templates are not compared: the student's tokenizer alone turns text into tokens.
Covered: `tokenizer.json` of any kind. Not covered: a SentencePiece file alone.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import ModelError

__all__ = [
    "INSTEAD",
    "ReadFile",
    "Shared",
    "check_folders",
    "compare",
    "digest",
    "embedding_rows",
    "reader",
    "tokens_in",
    "tokens_of",
]

ReadFile = Callable[[str], bytes | None]
"""A file of a model by its name; None when there is none."""

INSTEAD = (
    "take a teacher of the student's family; or let it act and imitate its answers (a `data` stage and `sft`); "
    "or write gold: true, which compares distributions over different tokens"
)
"""What to do about a teacher with other tokens."""

_SHARE_TOLERATED = 0.05
_SHOWN = 3


@dataclass(frozen=True)
class Shared:
    """What two vocabularies have in common."""

    tokens: int
    """The first so many ids are the same tokens on both sides; the divergence is over these."""
    problem: str = ""
    """Why they cannot be compared; empty when they can."""


def tokens_of(read: ReadFile) -> dict[int, str] | None:
    """Id -> token, of a model's `tokenizer.json`; None when it has no such file.

    Raises ValueError when it is no tokenizer.
    """
    text = read("tokenizer.json")
    if text is None:
        return None
    try:
        data = json.loads(text)
        return _numbered(data["model"]["vocab"]) | {entry["id"]: entry["content"] for entry in data["added_tokens"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"tokenizer.json is no tokenizer: {error!r}") from error


def compare(student: Mapping[int, str], teacher: Mapping[int, str], sizes: tuple[int, int]) -> Shared:
    """Hold two vocabularies against each other; `sizes` are the rows of both embeddings (`vocab_size`).

    >>> compare({0: "a", 1: "b"}, {0: "a", 1: "b", 2: "<tool>"}, (2, 128))
    Shared(tokens=2, problem='')
    """
    different = sorted(i for i in student.keys() & teacher.keys() if student[i] != teacher[i])
    if different:
        shown = ", ".join(f"{i} is {student[i]!r} and {teacher[i]!r}" for i in different[:_SHOWN])
        return Shared(0, f"{len(different)} of {len(student)} numbers are other tokens to the teacher ({shown})")
    alone = min(student.keys() ^ teacher.keys(), default=max(student) + 1)
    shared = min(alone, *sizes)
    if shared < (1 - _SHARE_TOLERATED) * max(len(student), len(teacher)):
        return Shared(
            shared, f"only the first {shared} of {len(student)} (student) and {len(teacher)} (teacher) tokens agree"
        )
    return Shared(shared)


def check_folders(student: Path, teacher: Path) -> int:
    """How many tokens two checkpoints have in common.

    Raises ModelError when they do not read the same tokens, or when that cannot be known from their files.
    """
    sizes = (embedding_rows(_config(student)), embedding_rows(_config(teacher)))
    shared = compare(tokens_in(student), tokens_in(teacher), sizes)
    if shared.problem:
        raise ModelError(f"the teacher in {teacher} has another vocabulary: {shared.problem}; {INSTEAD}")
    return shared.tokens


def tokens_in(folder: Path) -> dict[int, str]:
    """`tokens_of` a checkpoint folder. Raises ModelError when it has no `tokenizer.json`, or none that can be read."""
    try:
        tokens = tokens_of(reader(folder))
    except ValueError as error:
        raise ModelError(f"{folder}: {error}") from error
    if tokens is None:
        raise ModelError(f"{folder} has no tokenizer.json, so that its tokens cannot be compared; save it anew")
    return tokens


def digest(tokens: Mapping[int, str], count: int) -> str:
    """The same for two vocabularies whose first `count` tokens are the same."""
    first = sorted((number, token) for number, token in tokens.items() if number < count)
    return hashlib.sha256(json.dumps(first).encode()).hexdigest()


def reader(folder: Path) -> ReadFile:
    """The files of a checkpoint folder."""
    return lambda name: (folder / name).read_bytes() if (folder / name).is_file() else None


def embedding_rows(config: Mapping[str, Any]) -> int:
    """How many tokens an embedding has room for, by a model's `config.json`."""
    return int(config.get("text_config", config)["vocab_size"])


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return config


def _numbered(vocabulary: Any) -> dict[int, str]:
    """BPE and WordPiece write token -> id; Unigram writes pairs of token and score in the order of their ids."""
    if isinstance(vocabulary, dict):
        return {number: token for token, number in vocabulary.items()}
    return {number: pair[0] for number, pair in enumerate(vocabulary)}

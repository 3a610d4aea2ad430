"""A BPE with byte fallback, as Gemma's `tokenizer.json` holds it, in the terms of SentencePiece, as GGUF holds it.

llama.cpp merges whichever pair makes the piece of the highest score; `tokenizer.json` has a list of merges instead, the
first of which counts most. Tokenizers that were made from SentencePiece list all merges of one piece next to each
other, and then the place in the list is the score. Where they do not, the list says what no score can, and it is
refused. Not covered: a space in front of every text (Llama 2), SentencePiece's unigrams.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import ExportError

__all__ = ["BYTE", "SPACE", "check", "is_byte", "scores"]

SPACE = "▁"
"""How a piece writes a space."""
BYTE = 6
"""gguf.TokenType of a token that stands for one byte."""

_BYTES = frozenset(f"<0x{value:02X}>" for value in range(256))


def is_byte(token: str) -> bool:
    """Whether a token stands for one byte.

    >>> is_byte("<0x0A>")
    True
    """
    return token in _BYTES


def check(file: Path, stored: Mapping[str, Any]) -> None:
    """Refuse a `tokenizer.json` whose texts SentencePiece in llama.cpp would split otherwise. Raises ExportError."""
    normalizer, splitter = stored.get("normalizer") or {}, stored.get("pre_tokenizer") or {}
    replaced = (normalizer.get("type"), normalizer.get("pattern"), normalizer.get("content"))
    if replaced != ("Replace", {"String": " "}, SPACE):
        raise ExportError(f"{file}: a normalizer other than one that writes spaces as {SPACE}: {normalizer}")
    # Gemma's own splits at spaces, of which the normalizer has left none.
    if splitter and (splitter.get("type"), splitter.get("pattern")) != ("Split", {"String": " "}):
        raise ExportError(f"{file}: texts are split by {splitter}, SentencePiece in llama.cpp splits none")
    if stored["model"].get("ignore_merges"):
        raise ExportError(f"{file}: `ignore_merges` is set, which SentencePiece in llama.cpp does not do")
    if absent := _BYTES - stored["model"]["vocab"].keys():
        raise ExportError(f"{file}: {len(absent)} bytes have no token ({min(absent)}); byte fallback needs all 256")


def scores(file: Path, stored: Mapping[str, Any], tokens: tuple[str, ...]) -> tuple[float, ...]:
    """One score for each token: the higher, the earlier it is merged; the lowest for those that are no merge's result.

    Raises ExportError when the merges of one piece lie apart, so that no score says the same.
    """
    places: dict[str, int] = {}
    last = ""
    for merge in stored["model"]["merges"]:
        piece = "".join(merge.split(" ") if isinstance(merge, str) else merge)
        if piece != last and piece in places:
            raise ExportError(f"{file}: the merges of {piece!r} lie apart, which SentencePiece's scores cannot say")
        places.setdefault(piece, len(places))
        last = piece
    return tuple(float(-places.get(token, len(places))) for token in tokens)

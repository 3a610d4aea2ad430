"""What every token of a `tokenizer.json` writes, in bytes: a grammar is about letters, and a token may be half of one.

Covered: byte-level BPE (Llama 3, SmolLM, Qwen) and SentencePiece with bytes to fall back on (Llama 2, Gemma).
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from zoo.errors import ExportError

__all__ = ["token_bytes"]

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "▁"


def token_bytes(tokenizer_json: str) -> list[bytes | None]:
    """The bytes of each token by its id; None for special tokens and for ids that are none.

    Raises ExportError for a tokenizer of another kind.
    """
    settings = json.loads(tokenizer_json)
    vocabulary: Mapping[str, int] = settings["model"]["vocab"]
    if not isinstance(vocabulary, dict):
        raise ExportError("the tokenizer is no BPE, so that what its tokens write is not known; leave the grammar out")
    added = {one["id"]: None if one["special"] else one["content"].encode() for one in settings["added_tokens"]}
    size = max([*vocabulary.values(), *added]) + 1
    write = _byte_level if "ByteLevel" in _decoders(settings.get("decoder")) else _sentence_piece
    found: list[bytes | None] = [None] * size
    for text, token in vocabulary.items():
        found[token] = write(text)
    for token, said in added.items():
        found[token] = said
    return found


def _decoders(decoder: Mapping[str, Any] | None) -> list[str]:
    if not decoder:
        return []
    return [decoder["type"], *(one["type"] for one in decoder.get("decoders", ()))]


def _letters() -> dict[str, int]:
    """GPT-2's letters for bytes: printable ones stand for themselves, the others follow from 256 on."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + index): byte for index, byte in enumerate(others)}


_BYTES = _letters()


def _byte_level(text: str) -> bytes | None:
    return bytes(_BYTES[letter] for letter in text) if all(letter in _BYTES for letter in text) else text.encode()


def _sentence_piece(text: str) -> bytes | None:
    if match := _BYTE.fullmatch(text):
        return bytes([int(match[1], 16)])
    return text.replace(_SPACE, " ").encode()

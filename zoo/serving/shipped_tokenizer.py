"""The tokenizer files that lie beside an export, read without transformers and so without torch.

They are what a browser or a phone has: `tokenizer.json`, and `tokenizer_config.json` with the chat template in it.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.errors import ExportError
from zoo.serving import prompts
from zoo.serving.runtime import Chat
from zoo.serving.token_bytes import token_bytes

__all__ = ["ShippedTokenizer", "read_tokenizer"]

_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")


def read_tokenizer(folder: Path) -> "ShippedTokenizer":
    """Read the tokenizer of an export's folder. Raises ExportError when it is not whole."""
    from tokenizers import Tokenizer

    try:
        settings = _json(folder / "tokenizer_config.json")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises nothing more precise
        raise ExportError(f"{folder}: the tokenizer beside the graph cannot be read: {error}") from error
    return ShippedTokenizer(folder, tokenizer, settings)


class ShippedTokenizer:
    """Text to tokens and back, chats to prompts, and where an answer stops."""

    def __init__(self, folder: Path, tokenizer: Any, settings: dict[str, Any]) -> None:
        self._tokenizer, self._settings = tokenizer, settings
        self.special_tokens = {name: _text(settings[name]) for name in _NAMED if settings.get(name)}
        self.stop_ids = self._stops(folder)

    @property
    def chat_template(self) -> str:
        """The template in `tokenizer_config.json`, where browsers read it; empty when there is none."""
        return str(self._settings.get("chat_template") or "")

    @cached_property
    def token_bytes(self) -> list[bytes | None]:
        """What every token writes, see `zoo.serving.token_bytes`."""
        return token_bytes(self._tokenizer.to_str())

    def vocabulary(self) -> dict[str, int]:
        """Every token with its id, added ones included."""
        return dict(self._tokenizer.get_vocab(with_added_tokens=True))

    def encode(self, chat_or_text: Chat | str) -> list[int]:
        """A chat is rendered and tokenized without further BOS; a text as the tokenizer does by itself."""
        if isinstance(chat_or_text, str):
            return list(self._tokenizer.encode(chat_or_text).ids)
        text = prompts.render(self.chat_template, chat_or_text, self.special_tokens)
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of tokens, special ones shown."""
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=False))

    def _stops(self, folder: Path) -> frozenset[int]:
        generation = _json(folder / "generation_config.json") if (folder / "generation_config.json").is_file() else {}
        configured = generation.get("eos_token_id")
        several = configured if isinstance(configured, list) else [configured]
        own = self._tokenizer.token_to_id(self.special_tokens.get("eos_token", ""))
        return frozenset(token for token in (*several, own) if token is not None)


def _text(token: str | dict[str, Any]) -> str:
    return token if isinstance(token, str) else str(token["content"])


def _json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text("utf-8")))

"""The grammars that a constrained policy's answers are kept to, each made once for all answers under it."""

from collections.abc import Sequence
from typing import Any

from zoo.answering import grammar_for
from zoo.schema import AgentSpec
from zoo.serving.token_bytes import token_bytes
from zoo.serving.token_masks import Spelling, TokenMasks
from zoo.trainers.speaking import Asked

__all__ = ["Grammars"]

_MOST = 64
"""Grammars at once: one for every number of elements on a screen."""


class Grammars:
    """Of an agent, for a vocabulary: `stops` end an answer, logits have `size` entries."""

    def __init__(self, spec: AgentSpec, tokenizer: Any, stops: Sequence[int], size: int) -> None:
        self.spec = spec
        self.spelling = Spelling(token_bytes(tokenizer.backend_tokenizer.to_str()), stops, size)
        self._made: dict[str, TokenMasks] = {}

    @property
    def mask_bytes(self) -> int:
        """How many bytes the bits of one token take."""
        return (self.spelling.size + 7) // 8

    def of(self, asked: Asked) -> TokenMasks:
        """The grammar of an answer, for the numbers on its screen (those in its words where none are given)."""
        text = grammar_for(self.spec, asked.chat, asked.numbers)
        if text not in self._made:
            if len(self._made) >= _MOST:
                self._made.clear()
            self._made[text] = TokenMasks(text, self.spelling)
        return self._made[text]

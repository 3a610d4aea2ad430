"""A policy that is kept to the grammar of each screen: the grammars, each made once, and answers under them."""

from collections.abc import Sequence
from typing import Any

from zoo.answering import grammar_for
from zoo.schema import AgentSpec
from zoo.serving.token_bytes import token_bytes
from zoo.serving.token_masks import Constrained, Spelling, TokenMasks
from zoo.trainers.rollouts import Answered
from zoo.trainers.speaking import Asked

__all__ = ["Grammars", "generated_under"]

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


def generated_under(
    grammars: Grammars, model: Any, config: Any, tokenizer: Any, asked: Sequence[Asked]
) -> list[Answered]:
    """Answers by transformers' `generate` under a generation config, with what was allowed at each token."""
    import torch

    prompts = {"input_ids": [list(one.prompt_ids) for one in asked]}
    padded = tokenizer.pad(prompts, padding_side="left", return_tensors="pt").to(model.device)
    width = padded["input_ids"].size(1)
    kept = Constrained([grammars.of(one) for one in asked], width)
    with torch.no_grad():
        output = model.generate(**padded, generation_config=config, logits_processor=[kept])
    # What was allowed is told up to the stop token.
    ids = [row[: len(bits)] for row, bits in zip(output[:, width:].tolist(), kept.allowed, strict=True)]
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    return [
        Answered(one.prompt_ids, tuple(answer), text, None, tuple(allowed.tobytes() for allowed in bits))
        for one, answer, text, bits in zip(asked, ids, texts, kept.allowed, strict=True)
    ]

"""Log-probabilities under a policy that may say only what a grammar allows: both who samples and who learns mask alike.

For a token a that is allowed among A, log pi(a) - log sum_A pi. A token that was the only one has probability 1 and
teaches nothing; what a grammar forbids has no mass that learning could move. TRL's own kernel knows no masks, so that
logits [rows, T, V] are held here, some rows at a time. Not covered: screenshots, the balance loss of experts.
"""

from collections.abc import Sequence
from typing import Any

import torch

from zoo.trainers.rollouts import Answered

__all__ = ["bits_of", "masked_chances", "widened"]

_ALL = 0xFF


def bits_of(answers: Sequence[Answered], width: int) -> torch.Tensor:
    """What was allowed at each token, uint8 [B, T, width]; all is allowed where an answer does not say."""
    longest = max(len(answer.completion_ids) for answer in answers)
    bits = torch.full((len(answers), longest, width), _ALL, dtype=torch.uint8)
    for row, answer in enumerate(answers):
        for place, allowed in enumerate(answer.allowed or ()):
            bits[row, place] = torch.frombuffer(bytearray(allowed), dtype=torch.uint8)
    return bits


def widened(bits: torch.Tensor, tokens: int) -> torch.Tensor:
    """The same [B, T, width] for more tokens, as TRL pads answers to a multiple: behind an answer all is allowed."""
    return torch.nn.functional.pad(bits, (0, 0, 0, tokens - bits.size(1)), value=_ALL)


def masked_chances(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    allowed: torch.Tensor,
    temperature: float,
    rows: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies [B, T] of the last T tokens of [B, P + T], where `allowed` [B, T, V / 8] is."""
    found = [
        _chances(model, input_ids[start : start + rows], attention_mask[start : start + rows], bits, temperature)
        for start, bits in zip(range(0, len(input_ids), rows), allowed.split(rows), strict=True)
    ]
    chances, entropies = zip(*found, strict=True)
    return torch.cat(chances), torch.cat(entropies)


def _chances(
    model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, bits: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = bits.size(1)
    read = {"input_ids": input_ids, "attention_mask": attention_mask}
    logits = model(**read, logits_to_keep=tokens + 1, use_cache=False).logits[:, :-1].float() / temperature
    may = _unpacked(bits, logits.size(-1))
    chances = torch.log_softmax(logits.masked_fill(~may, float("-inf")), dim=-1)
    entropies = -(chances.exp() * chances.masked_fill(~may, 0.0)).sum(-1)
    return chances.gather(-1, input_ids[:, -tokens:].unsqueeze(-1)).squeeze(-1), entropies


def _unpacked(bits: torch.Tensor, size: int) -> torch.Tensor:
    """Bytes [..., W] as booleans [..., size], the highest bit of a byte first."""
    places = torch.arange(7, -1, -1, device=bits.device)
    return ((bits.unsqueeze(-1) >> places) & 1).bool().flatten(-2)[..., :size]

"""Answers by chance that can be made again: noise on the logits, after which the most likely token is a fair draw.

Gumbel's trick (Gumbel 1954; Maddison et al., arXiv 1411.0030): with g = -log(-log(u)), u uniform, the argmax of
logits / T + g is a draw from softmax(logits / T). The noise of an answer hangs on its own seed alone, so that neither
the batch, nor a restart, nor a grammar that forbids tokens changes it. Not covered: top-k, top-p.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Noise", "noise_processor"]


class Noise:
    """The noise of one answer: to be called once for each of its tokens, in order."""

    def __init__(self, temperature: float, seed: str) -> None:
        import numpy as np

        if temperature <= 0:
            raise ValueError(f"a temperature of {temperature} draws nothing; leave the noise out for greedy answers")
        self.temperature = temperature
        self._random = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()))

    def __call__(self, logits: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Logits [V] of the next token, as float32 [V] whose argmax is a draw."""
        import numpy as np

        return (logits / self.temperature + self._random.gumbel(size=len(logits))).astype(np.float32)


def noise_processor(noises: Sequence[Noise]) -> Any:
    """The noises of a batch's answers for transformers' greedy `generate`, a row each."""

    def add(input_ids: Any, scores: Any) -> Any:
        import torch

        rows = [noise(row) for noise, row in zip(noises, scores.float().cpu().numpy(), strict=True)]
        return torch.stack([torch.from_numpy(row) for row in rows]).to(scores.device)

    return add

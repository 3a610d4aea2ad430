"""Greedy answers and teacher-forced logits of a decoder that is fed some tokens at a time and keeps their cache.

Of each prompt only what the decoder does not hold already is computed: steps of one agent share most of their prompt.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from zoo.serving.runtime import Generation
from zoo.serving.sampling import Noise

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Decoder", "answer", "logits"]

_CHUNK = 256
"""Tokens of one call: the graphs return logits of all of them, and 256 rows of 152 000 float32 are 156 MB."""


class Decoder(Protocol):
    """What ONNX Runtime and GenAI have in common."""

    vocabulary_size: int
    cached: list[int]
    """The tokens whose keys and values are kept, from position 0."""
    prefilled_tokens: int

    def feed(self, token_ids: list[int]) -> "np.ndarray[Any, Any]":
        """Append tokens; their logits [T, V]."""
        ...

    def keep(self, count: int) -> None:
        """Forget all but the first `count` tokens."""
        ...


def logits(decoder: Decoder, token_ids: Sequence[int], start: int) -> "np.ndarray[Any, Any]":
    """Logits [T - start, V], float32, computed from nothing."""
    import numpy as np

    decoder.keep(0)
    rows = np.empty((len(token_ids) - start, decoder.vocabulary_size), np.float32)
    for first in range(0, len(token_ids), _CHUNK):
        found = decoder.feed(list(token_ids[first : first + _CHUNK]))
        kept = max(start - first, 0)
        if kept < len(found):
            rows[first + kept - start : first + len(found) - start] = found[kept:]
    return rows


def answer(
    decoder: Decoder,
    prompt: Sequence[int],
    max_new_tokens: int,
    stops: frozenset[int],
    decode: Callable[[Sequence[int]], str],
    noise: Noise | None = None,
) -> Generation:
    """The plain argmax (with `noise`, a draw), token by token, up to a stop token."""
    started = time.perf_counter()
    row = _prefill(decoder, prompt)
    found: list[int] = []
    first = last = 0.0
    while len(found) < max_new_tokens:
        token = int((noise(row) if noise else row).argmax())
        last = time.perf_counter() - started
        first = first or last
        if token in stops:
            break
        found.append(token)
        if len(found) < max_new_tokens:
            row = decoder.feed([token])[-1]
    return Generation(decode(found), len(found), len(prompt), first, last)


def _prefill(decoder: Decoder, prompt: Sequence[int]) -> "np.ndarray[Any, Any]":
    """Compute what the cache does not hold, at least the last token; logits [V] of that one."""
    shared = 0
    for one, other in zip(decoder.cached, prompt[:-1], strict=False):
        if one != other:
            break
        shared += 1
    decoder.keep(shared)
    rest = list(prompt[shared:])
    decoder.prefilled_tokens = len(rest)
    for first in range(0, len(rest), _CHUNK):
        found = decoder.feed(rest[first : first + _CHUNK])
    return found[-1]  # type: ignore[no-any-return]  # numpy's rows are untyped

"""The one loop that answers: a decoder is fed some tokens at a time, keeps their cache, and says what comes next.

Greedy, or by chance with a noise on the logits, in all four runtimes. What may be switched costs or saves time and
changes no answer but for ties that rounding decides: `reuse` computes of a prompt only what the decoder does not hold
already (steps of one agent share the start of their prompts), `lookup` has it check several guessed tokens at once
(`zoo.serving.lookup`).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from zoo.errors import DataError
from zoo.serving.lookup import Lookup, Said
from zoo.serving.runtime import Generation, Token, spoken
from zoo.serving.sampling import Noise
from zoo.serving.token_grammar import TokenGrammar

if TYPE_CHECKING:
    import numpy as np

    Row = np.ndarray[Any, Any]
    """Logits [V]."""

__all__ = [
    "Choice",
    "Decoder",
    "answer",
    "answers",
    "check_fit",
    "choice",
    "likeliest",
    "logits",
    "step_seconds",
    "stream",
    "token_seconds",
]


class Choice(Protocol):
    """How the next token is taken: the likeliest of all, or of those that a grammar allows."""

    def choose(self, logits: "Row") -> int: ...

    def accept(self, token: int) -> None: ...


class Decoder(Protocol):
    """What the loop needs of a runtime."""

    cached: list[int]
    """The tokens whose keys and values are kept, from position 0."""
    chunk: int
    """The most tokens of one call."""
    vocabulary_size: int
    prefilled_tokens: int
    """How many tokens of the last prompt were computed and not taken from the cache."""
    calls: int
    """How often the model ran for the last answer, the prompt included."""
    reuse: bool
    lookup: bool
    said: Said
    guesses: Mapping[int, int]
    """How far `lookup` guesses, see `zoo.serving.lookup`."""

    def check_fit(self, prompt_tokens: int, new_tokens: int) -> None:
        """Raises DataError for a prompt that is empty or leaves no room for the answer."""
        ...

    def feed(self, token_ids: list[int], wanted: int) -> "list[Row]":
        """Append tokens; the logits of the last `wanted` of them, valid until the next call."""
        ...

    def keep(self, count: int) -> None:
        """Forget all but the first `count` tokens, or all of them where a cache cannot be cut."""
        ...

    def choice(self, grammar: str | None) -> AbstractContextManager[Choice]:
        """For one answer. Raises DataError when the grammar is none."""
        ...

    def is_stop(self, token: int) -> bool: ...

    def decode(self, token_ids: Sequence[int]) -> str: ...


@contextmanager
def likeliest() -> Iterator[Choice]:
    """The plain argmax."""
    yield _Likeliest()


def choice(
    grammar: str | None, token_bytes: Callable[[], Sequence[bytes | None]], stop_ids: frozenset[int]
) -> AbstractContextManager[Choice]:
    """For a decoder without grammars of its own: the likeliest token or, of those that a grammar allows, the likeliest.
    What tokens write is asked for under a grammar only. Raises DataError when the grammar is none."""
    return likeliest() if grammar is None else nullcontext(TokenGrammar(grammar, token_bytes(), stop_ids))


def check_fit(file: Path, prompt_tokens: int, new_tokens: int = 0, context: int | None = None) -> None:
    """Raises DataError for a prompt that is empty or leaves no room for the answer in a context of so many tokens."""
    if not prompt_tokens:
        raise DataError(f"{file}: an empty prompt has no next token")
    if context is not None and prompt_tokens + new_tokens > context:
        raise DataError(
            f"{file}: a prompt of {prompt_tokens} tokens and {new_tokens} new ones exceed the context of {context}; "
            "open it with a larger context, if the model has one"
        )


class _Likeliest:
    def choose(self, logits: "Row") -> int:
        return int(logits.argmax())

    def accept(self, token: int) -> None:
        pass


class _Drawn:
    """What another choice takes of noisy logits: a fair draw of what it would choose from, see `Noise`."""

    def __init__(self, choice: Choice, noise: Noise) -> None:
        self._choice, self._noise = choice, noise

    def choose(self, logits: "Row") -> int:
        return self._choice.choose(self._noise(logits))

    def accept(self, token: int) -> None:
        self._choice.accept(token)


def logits(decoder: Decoder, token_ids: Sequence[int], start: int) -> "Row":
    """Logits [T - start, V], float32, computed from nothing."""
    import numpy as np

    decoder.keep(0)
    rows = np.empty((len(token_ids) - start, decoder.vocabulary_size), np.float32)
    for first in range(0, len(token_ids), decoder.chunk):
        part = list(token_ids[first : first + decoder.chunk])
        wanted = min(len(part), max(1, first + len(part) - start))
        found = decoder.feed(part, wanted)
        place = first + len(part) - start
        if place > 0:
            rows[place - wanted : place] = found
    return rows


def answers(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    grammar: str | None = None,
    noises: Sequence[Noise] | None = None,
) -> list[Generation]:
    """Of each prompt in turn its `answer`, with its noise where there are noises."""
    each: Sequence[Noise | None] = [None] * len(prompts) if noises is None else noises
    return [
        answer(decoder, prompt, max_new_tokens, grammar, noise) for prompt, noise in zip(prompts, each, strict=True)
    ]


def answer(
    decoder: Decoder,
    prompt: Sequence[int],
    max_new_tokens: int,
    grammar: str | None = None,
    noise: Noise | None = None,
) -> Generation:
    """An answer up to a stop token, the end of the grammar, or `max_new_tokens`; with `noise`, a draw."""
    started = time.perf_counter()
    found: list[int] = []
    first = last = 0.0
    for token in _tokens(decoder, prompt, max_new_tokens, grammar, noise=noise):
        last = time.perf_counter() - started
        first = first or last
        if not decoder.is_stop(token):
            found.append(token)
    return Generation(decoder.decode(found), len(found), len(prompt), first, last)


def stream(decoder: Decoder, prompt: Sequence[int], max_new_tokens: int, grammar: str | None = None) -> Iterator[Token]:
    """The answer that `answer` gives, token by token."""
    started = time.perf_counter()
    tokens = _tokens(decoder, prompt, max_new_tokens, grammar)
    return spoken((token for token in tokens if not decoder.is_stop(token)), decoder.decode, started)


def token_seconds(decoder: Decoder, prompt: Sequence[int], count: int) -> list[float]:
    """When each of so many tokens was known, from the call on: by the loop that answers, the prompt computed from
    nothing, nothing guessed, and no stop token heeded."""
    started = time.perf_counter()
    decoder.keep(0)
    tokens = _tokens(decoder, prompt, count, None, plain=True)
    return [time.perf_counter() - started for _ in tokens]


def step_seconds(decoder: Decoder, steps: int) -> list[float]:
    """How long each of so many single tokens takes, after one that does not count."""
    decoder.keep(0)
    decoder.feed([0], 1)
    seconds = []
    for _ in range(steps):
        started = time.perf_counter()
        decoder.feed([0], 1)
        seconds.append(time.perf_counter() - started)
    decoder.keep(0)
    return seconds


def _tokens(
    decoder: Decoder,
    prompt: Sequence[int],
    max_new_tokens: int,
    grammar: str | None,
    plain: bool = False,
    noise: Noise | None = None,
) -> Iterator[int]:
    """What the model says next, again and again, the stop token included; `plain` guesses nothing and never stops.

    Guesses do not change a draw: a row is chosen from once, when all tokens before it are settled, so that the noise of
    a token is the same with and without them.
    """
    decoder.check_fit(len(prompt), max_new_tokens)
    with decoder.choice(grammar) as greedy:
        choice = _Drawn(greedy, noise) if noise else greedy
        words = [token for token in prompt if token >= 0]  # pictures are negative, and are never said
        lookup = Lookup(decoder.said, words, decoder.guesses) if decoder.lookup and not plain else None
        tokens, guess = list(prompt), list[int]()
        rows = _prefill(decoder, tokens)
        while True:
            for place, row in enumerate(rows):
                token = choice.choose(row)
                tokens.append(token)
                yield token
                said = len(tokens) - len(prompt)
                if said == max_new_tokens or (decoder.is_stop(token) and not plain):
                    if not plain:
                        decoder.said.note(tokens[len(prompt) :])
                    decoder.keep(min(len(decoder.cached), len(tokens) - 1))
                    return
                choice.accept(token)
                if lookup:
                    lookup.add(token)
                if place < len(guess) and guess[place] != token:
                    break
            decoder.keep(min(len(decoder.cached), len(tokens) - 1))
            if len(decoder.cached) < len(tokens) - 1:
                lookup = None  # its cache cannot be cut, so that each wrong guess would cost the whole prompt
            guess = lookup.guess(max_new_tokens - said - 1) if lookup else []
            rows = _feed(decoder, [*tokens[len(decoder.cached) :], *guess], 1 + len(guess))


def _prefill(decoder: Decoder, prompt: list[int]) -> "list[Row]":
    """Compute what the cache does not hold, at least the last token; its logits."""
    shared = 0
    if decoder.reuse:
        held = decoder.cached[: len(prompt) - 1]
        pairs = zip(held, prompt, strict=False)
        shared = next((index for index, (one, other) in enumerate(pairs) if one != other), len(held))
    decoder.keep(shared)
    rest = prompt[len(decoder.cached) :]
    decoder.prefilled_tokens, decoder.calls = len(rest), 0
    return _feed(decoder, rest, 1)


def _feed(decoder: Decoder, token_ids: list[int], wanted: int) -> "list[Row]":
    """Append tokens, some at a time; the logits of the last `wanted`, which must fit into one call."""
    ahead = max(0, len(token_ids) - decoder.chunk)
    for start in range(0, ahead, decoder.chunk):
        decoder.feed(token_ids[start : min(start + decoder.chunk, ahead)], 1)
        decoder.calls += 1
    decoder.calls += 1
    return decoder.feed(token_ids[ahead:], wanted)

"""What an answer probably goes on with, looked up in what was read and said before: a guess that costs no model.

Prompt lookup (A. Saxena, https://github.com/apoorvumang/prompt-lookup-decoding): the last few tokens are searched in
the prompt, and what followed them there is guessed to follow again. Here the earlier answers of the same model are
searched too: an agent's answers copy labels from the screen, and their tags from each other. A guess is checked by the
model in one step for all its tokens, so that a wrong one costs time and changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence

__all__ = ["BOLD", "PATIENT", "Lookup", "Said"]

BOLD = {1: 7, 2: 7, 3: 15, 4: 15, 5: 31, 6: 31, 7: 31, 8: 31}
"""Tokens that fit -> tokens that are guessed, for runtimes that check 32 tokens in twice (torch in bfloat16) to five
times (GenAI, int8) the seconds of one. `benchmarks/agent_step.py` prints how often the model ran, and what it took."""
PATIENT = {3: 7, 4: 7, 5: 7, 6: 7, 7: 7, 8: 7}
"""For llama.cpp on a CPU with AVX2, where 2 tokens cost as much as 8, and 8 as much as 4 single ones: 7 or none, and
only where three fit; bolder tables cost more than they save. Printed by the same command."""
_LONGEST = max(BOLD)
_REMEMBERED = 4096
"""Tokens of earlier answers that are searched."""
_BORDER = -1


class _Index:
    """Tokens in order, and what followed every few of them last."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}

    def add(self, token: int) -> None:
        for length in range(1, _LONGEST + 1):
            self._after[tuple(self.tokens[-length:])] = len(self.tokens)
        self.tokens.append(token)

    def following(self, last: tuple[int, ...], most: int) -> list[int]:
        """At most so many tokens that followed these; none when they never stood here."""
        start = self._after.get(last)
        found = self.tokens[start : start + most] if start is not None else []
        return found[: found.index(_BORDER)] if _BORDER in found else found


class Said:
    """The last answers of a model, in tokens with their stop token; the oldest are forgotten."""

    def __init__(self) -> None:
        self.index = _Index()

    def note(self, answer: Iterable[int]) -> None:
        """An answer is at its end."""
        if len(self.index.tokens) > _REMEMBERED:
            kept = self.index.tokens[-_REMEMBERED // 2 :]
            self.index = _Index()
            for token in kept:
                self.index.add(token)
        for token in (*answer, _BORDER):
            self.index.add(token)


class Lookup:
    """One prompt and its answer so far; what is not found there is searched in the answers `said` before.

    `guesses`: tokens that fit -> tokens that are guessed; for what is not in it, none.

    >>> lookup = Lookup(Said(), [5, 6, 7, 8, 9, 5, 6])
    >>> lookup.guess(2)
    [7, 8]
    >>> lookup.add(1)
    >>> lookup.guess(2)
    []
    """

    def __init__(self, said: Said, prompt: Sequence[int], guesses: Mapping[int, int] = BOLD) -> None:
        self._said, self._index, self._guesses = said.index, _Index(), guesses
        for token in prompt:
            self._index.add(token)

    def add(self, token: int) -> None:
        """The answer goes on."""
        self._index.add(token)

    def guess(self, most: int) -> list[int]:
        """At most so many tokens that probably come next; none when the last token was never seen before."""
        tokens = self._index.tokens
        for length in range(min(_LONGEST, len(tokens)), 0, -1):
            last, far = tuple(tokens[-length:]), min(most, self._guesses.get(length, 0))
            if found := self._index.following(last, far) or self._said.following(last, far):
                return found
        return []

"""What an answer probably goes on with, looked up in what was read and said before: a guess that costs no model.

Prompt lookup (A. Saxena, https://github.com/apoorvumang/prompt-lookup-decoding): the last few tokens are searched in
the prompt, and what followed them there is guessed to follow again. Here the earlier answers of the same model are
searched too: an agent's answers copy labels from the screen, and their tags from each other. A guess is checked by the
model in one step for all its tokens, so that a wrong one costs time and changes nothing.
"""

from collections import deque
from collections.abc import Iterable, Sequence

__all__ = ["Lookup", "Said"]

_ANSWERS = 8
_LONGEST = 4
_GUESSED = {1: 3, 2: 6, 3: 10, 4: 12}
"""Tokens that fit -> tokens that are guessed: the more fits, the farther the guess reaches."""
_BORDER = -1


class Said:
    """The last answers of a model, in tokens with their stop token; the oldest are forgotten."""

    def __init__(self) -> None:
        self.answers: deque[tuple[int, ...]] = deque(maxlen=_ANSWERS)

    def note(self, answer: Iterable[int]) -> None:
        """An answer is at its end."""
        self.answers.append(tuple(answer))


class Lookup:
    """One prompt and its answer so far, with earlier answers before them.

    >>> lookup = Lookup([], [5, 6, 7, 8, 9, 5, 6])
    >>> lookup.guess(2)
    [7, 8]
    >>> lookup.add(1)
    >>> lookup.guess(2)
    []
    """

    def __init__(self, earlier: Iterable[Sequence[int]], prompt: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        """Up to four tokens -> where what followed them last stands."""
        for answer in earlier:
            for token in (*answer, _BORDER):
                self.add(token)
        for token in prompt:
            self.add(token)

    def add(self, token: int) -> None:
        """The answer goes on."""
        for length in range(1, _LONGEST + 1):
            self._after[tuple(self._tokens[-length:])] = len(self._tokens)
        self._tokens.append(token)

    def guess(self, most: int) -> list[int]:
        """At most so many tokens that probably come next; none when the last token was never seen before."""
        for length in range(_LONGEST, 0, -1):
            start = self._after.get(tuple(self._tokens[-length:]))
            if start is not None:
                found = self._tokens[start : start + min(most, _GUESSED[length])]
                return found[: found.index(_BORDER)] if _BORDER in found else found
        return []

"""What an answer probably goes on with, looked up in what was read and said before: a guess that costs no model.

Prompt lookup (A. Saxena, https://github.com/apoorvumang/prompt-lookup-decoding): the last few tokens are searched in
the prompt, and what followed them there is guessed to follow again. Here the earlier answers of the same model are
searched too: an agent's answers copy labels from the screen, and their tags from each other. A guess is checked by the
model in one step for all its tokens, so that a wrong one costs time and changes nothing.
"""

from collections.abc import Iterable, Sequence

__all__ = ["Lookup", "Said"]

_GUESSED = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 12, 7: 16, 8: 16}
"""Tokens that fit -> tokens that are guessed: the more fits, the farther the guess reaches. Replayed over 79 steps of a
trained agent: 13 runs of the model a step in place of 66, 93 tokens computed; bolder guesses made 12 runs of 115."""
_LONGEST = max(_GUESSED)
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

    >>> lookup = Lookup(Said(), [5, 6, 7, 8, 9, 5, 6])
    >>> lookup.guess(2)
    [7]
    >>> lookup.add(1)
    >>> lookup.guess(2)
    []
    """

    def __init__(self, said: Said, prompt: Sequence[int]) -> None:
        self._said, self._index = said.index, _Index()
        for token in prompt:
            self._index.add(token)

    def add(self, token: int) -> None:
        """The answer goes on."""
        self._index.add(token)

    def guess(self, most: int) -> list[int]:
        """At most so many tokens that probably come next; none when the last token was never seen before."""
        tokens = self._index.tokens
        for length in range(min(_LONGEST, len(tokens)), 0, -1):
            last, far = tuple(tokens[-length:]), min(most, _GUESSED[length])
            if found := self._index.following(last, far) or self._said.following(last, far):
                return found
        return []

"""What an answer to a logged step is worth: OpenPhone's two rewards, its format and its called function.

A completion is a string, or messages of which the last is the agent's. Both follow `grpo_agent.py` of OpenPhone's
release: format, 0 to 1, and the called function, 0 or 1. Closed: its similarity could reward a call that is no `finish`
when the right one is.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from zoo.actions import DEFAULT_FINISH, Action, parse, read_answer, same

__all__ = ["ActionReward", "FormatReward", "same_words"]

Completion = str | Sequence[dict[str, Any]]


def same_words(a: str, b: str) -> float:
    """1.0 when two texts differ in case, punctuation and spaces at most, else 0.0.

    >>> same_words("Bluetooth is ON.", "bluetooth is on")
    1.0
    """
    return float(_words(a) == _words(b))


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class FormatReward:
    """0.3 for a reasoning, 0.3 for a state assessment, 0.4 for a called function, each closed and filled.

    Text outside the tags multiplies by `extra_text`.

    >>> FormatReward()(completions=["<CALLED_FUNCTION>back()</CALLED_FUNCTION>"])
    [0.4]
    """

    reasoning: float = 0.3
    assessment: float = 0.3
    called: float = 0.4
    extra_text: float = 0.5

    # TRL logs a reward under this name.
    __name__ = "format"

    def __call__(self, completions: Sequence[Completion], **columns: Any) -> list[float]:
        return [self._score(_text(completion)) for completion in completions]

    def _score(self, text: str) -> float:
        answer = read_answer(text)
        parts = (
            (self.reasoning, answer.reasoning), (self.assessment, answer.assessment), (self.called, answer.called),
        )  # fmt: skip
        earned = sum(worth for worth, content in parts if content)
        return round(earned * (self.extra_text if answer.extra_text else 1.0), 6)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ActionReward:
    """1 when the called function is the right one with the right arguments, else 0.

    Where the right call is `finish` with a message of its own, the answer has to be a `finish` too, whose message is
    as similar as `threshold`. OpenPhone compares sentence embeddings there (cosine, 0.7); here `similarity` is equality
    of words unless another callable of two texts is given.

    >>> ActionReward()(completions=["<CALLED_FUNCTION>tap(3)</CALLED_FUNCTION>", "tap(4)"], solution=["tap(3)"] * 2)
    [1.0, 0.0]
    """

    similarity: Callable[[str, str], float] = same_words
    threshold: float = 0.7

    # TRL logs a reward under this name.
    __name__ = "action"

    def __call__(self, completions: Sequence[Completion], solution: Sequence[str], **columns: Any) -> list[float]:
        return [
            float(self._is_right(parse(_text(completion)), _right(call)))
            for completion, call in zip(completions, solution, strict=True)
        ]

    def _is_right(self, called: Action | None, right: Action) -> bool:
        if called is None:
            return False
        if right.name == called.name == "finish" and right.arguments != (DEFAULT_FINISH,):
            return self.similarity(str(called.arguments[0]), str(right.arguments[0])) >= self.threshold
        return same(called, right)


def _right(call: str) -> Action:
    """The right call of a row. One without is a mistake of who made the rows: raised, not scored."""
    action = parse(call)
    if action is None:
        raise ValueError(f"the solution {call!r} is no call")
    return action


def _text(completion: Completion) -> str:
    """What the agent said: the last message, its text blocks joined."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"] if completion else ""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def _words(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).split())

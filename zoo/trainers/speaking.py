"""A policy that is asked in chats and answers in tokens, whoever generates them: the trainer itself or an endpoint."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.agent import Chat
from zoo.answering import Numbers
from zoo.trainers.rollouts import Answered

__all__ = ["Asked", "Generate", "Speaker"]


@dataclass(frozen=True)
class Asked:
    """One chat, rendered."""

    chat: Chat
    prompt_ids: tuple[int, ...]
    numbers: Sequence[int] | None = None
    """Those on its screen, for a policy that is kept to a grammar."""


Generate = Callable[[Sequence[Asked]], Sequence[Answered]]
"""Answers to chats that leave room for one, in order."""


@dataclass(frozen=True)
class Speaker:
    """A policy as `zoo.trainers.rollouts.Sample`."""

    tokenizer: Any
    chat_template: str
    longest: int
    """Tokens of the longest prompt that leaves room for an answer."""
    generate: Generate

    def __call__(self, chats: Sequence[Chat], numbers: Numbers | None = None) -> list[Answered]:
        """An answer to each chat; an empty one where prompt and answer would be longer than the model."""
        rendered = self.tokenizer.apply_chat_template(
            list(chats), chat_template=self.chat_template, add_generation_prompt=True, return_dict=True
        )["input_ids"]
        shown: Sequence[Sequence[int] | None] = [None] * len(chats) if numbers is None else numbers
        asked = [Asked(chat, tuple(ids), its) for chat, ids, its in zip(chats, rendered, shown, strict=True)]
        fitting = [one for one in asked if len(one.prompt_ids) <= self.longest]
        answers = iter(self.generate(fitting) if fitting else ())
        return [
            next(answers) if len(one.prompt_ids) <= self.longest else Answered(one.prompt_ids, (), "") for one in asked
        ]

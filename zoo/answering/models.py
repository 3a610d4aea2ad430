"""Loaded models as agents: a chat of each situation, an answer, and what it cost.

A constrained agent is kept to the grammar of the numbers on its own screen, by runtimes that can; others say so before
they answer anything.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Protocol

from zoo.action_grammar import numbers_on
from zoo.agent import Chat, Situation, chat_of
from zoo.dialects import dialect_of
from zoo.errors import ModelError
from zoo.memory import CountTokens, about_tokens
from zoo.prompt import words_of
from zoo.schema import AgentSpec
from zoo.serving import Generation, Runtime

__all__ = ["Ask", "ModelAgent", "Numbers", "ask_runtime", "grammar_for", "most_tokens", "numbers_of"]

Numbers = Sequence[Sequence[int]]
"""For each chat, the numbers on its screen."""
_TAGS_AND_CALL = 48
"""Tokens of an answer that are no prose, in SmolLM2's vocabulary: at most about so many."""


class Ask(Protocol):
    """A model: a batch of chats -> answers with their cost, in the same order.

    `numbers` keep a constrained agent to what is on its screens; without them, they are read from the chats' text.
    """

    def __call__(self, chats: Sequence[Chat], numbers: Numbers | None = None, /) -> Sequence[Generation]: ...


@dataclass
class ModelAgent:
    """A model as whoever answers in `zoo.agent.play`; keeps what each step of each task cost."""

    spec: AgentSpec
    ask: Ask
    count: CountTokens = about_tokens
    """Tokens of a text, for a memory that is bounded by them."""
    spent: dict[str, list[Generation]] = field(default_factory=lambda: defaultdict(list))
    """Task -> the answers to it, step by step."""

    def __call__(self, situations: Sequence[Situation]) -> list[str]:
        """Answer every situation."""
        chats = [chat_of(self.spec, one, self.count) for one in situations]
        numbers = [one.environment.numbers for one in situations] if self.spec.constrained else None
        answers = self.ask(chats, numbers)
        for situation, answer in zip(situations, answers, strict=True):
            self.spent[situation.task.id].append(answer)
        return [answer.text for answer in answers]


def ask_runtime(spec: AgentSpec, runtime: Runtime) -> Ask:
    """A local runtime, greedy; one chat after the other where each has a grammar of its own.

    Raises ModelError when the agent is constrained and the runtime cannot decode under a grammar, and when the agent
    sees pictures and the runtime or its model does not.
    """
    if spec.pictures != "none" and not getattr(runtime, "sees_pictures", False):
        raise ModelError(
            f"{type(runtime).__name__} answers about words only here; open a checkpoint with eyes, a GGUF file with "
            "its mmproj beside it, ask an endpoint, or set agent.pictures to none"
        )
    generate: Any = runtime.generate
    if spec.constrained and "grammar" not in signature(generate).parameters:
        raise ModelError(
            f"{type(runtime).__name__} cannot keep answers to a grammar; export the model to GGUF, ask an endpoint, "
            "or set agent.constrained to false"
        )

    def ask(chats: Sequence[Chat], numbers: Numbers | None = None) -> Sequence[Generation]:
        if not spec.constrained:
            return runtime.generate(chats, spec.answer_tokens)
        shown = numbers_of(chats, numbers)
        return [
            generate([chat], most_tokens(spec), grammar=grammar_for(spec, chat, its))[0]
            for chat, its in zip(chats, shown, strict=True)
        ]

    return ask


def numbers_of(chats: Sequence[Sequence[Mapping[str, Any]]], numbers: Numbers | None) -> Numbers:
    """The numbers that are given, else those in the words of each chat."""
    return [numbers_on(words_of(chat[-1])) for chat in chats] if numbers is None else numbers


def grammar_for(spec: AgentSpec, chat: Chat, numbers: Sequence[int] | None = None) -> str:
    """The grammar of an answer to this chat, for the numbers on its screen (those in its words when none are given).

    Each of its prose parts may have as many characters as the answer has tokens, so that a model at a loss, which
    repeats its prompt, comes to a call: see `most_tokens`.
    """
    (shown,) = numbers_of([chat], None if numbers is None else [numbers])
    return dialect_of(spec.world).grammar(shown, spec.answer_tokens)


def most_tokens(spec: AgentSpec) -> int:
    """How many tokens an answer may have: where a grammar bounds the prose, what the tags and a call need comes on top,
    since a call that is cut off is none.

    >>> most_tokens(AgentSpec(answer_tokens=96)), most_tokens(AgentSpec(answer_tokens=96, constrained=True))
    (96, 144)
    """
    return spec.answer_tokens + (_TAGS_AND_CALL if spec.constrained else 0)

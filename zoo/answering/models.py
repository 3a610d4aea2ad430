"""Loaded models as agents: a chat of each situation, an answer, and what it cost.

A constrained agent is kept to the grammar of the numbers on its own screen, by runtimes that can (llama.cpp); others
say so before they answer anything.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from zoo.action_grammar import answer_grammar, numbers_on
from zoo.agent import Chat, Situation, chat_of
from zoo.errors import ModelError
from zoo.memory import CountTokens, about_tokens
from zoo.schema import AgentSpec
from zoo.serving import Generation, Runtime

__all__ = ["Ask", "ModelAgent", "ask_runtime", "grammar_for"]

Ask = Callable[[Sequence[Chat]], Sequence[Generation]]
"""A model: a batch of chats -> answers with their cost, in the same order."""


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
        answers = self.ask([chat_of(self.spec, one, self.count) for one in situations])
        for situation, answer in zip(situations, answers, strict=True):
            self.spent[situation.task.id].append(answer)
        return [answer.text for answer in answers]


def ask_runtime(spec: AgentSpec, runtime: Runtime) -> Ask:
    """A local runtime, greedy; one chat after the other where each has a grammar of its own.

    Raises ModelError when the agent is constrained and the runtime cannot decode under a grammar.
    """
    if not spec.constrained:
        return lambda chats: runtime.generate(chats, spec.answer_tokens)
    generate: Any = runtime.generate
    if "grammar" not in signature(generate).parameters:
        raise ModelError(
            f"{type(runtime).__name__} cannot keep answers to a grammar; export the model to GGUF, ask an endpoint, "
            "or set agent.constrained to false"
        )
    return lambda chats: [
        answer for chat in chats for answer in generate([chat], spec.answer_tokens, grammar=grammar_for(spec, chat))
    ]


def grammar_for(spec: AgentSpec, chat: Chat) -> str:
    """The grammar of an answer to this chat. Each prose part may have as many characters as the answer has tokens:
    at four characters a token, both leave half of the tokens to the tags and the call."""
    return answer_grammar(numbers_on(chat[-1]["content"]), spec.answer_tokens)

"""How an agent of a world speaks: what it is asked, how its answer is read and written, the grammar of it.

A device's agent speaks OpenPhone's three tags (`zoo.actions`, `zoo.prompt`); a world whose actions are others says so
in `zoo.registry.DIALECTS`. Whatever the words, an action is a `zoo.actions.Action`, and `finish` ends an episode.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.action_grammar import answer_grammar, answer_schema, read_data
from zoo.actions import Action, Answer, read_answer, write_answer
from zoo.registry import DIALECTS, load
from zoo.schema import AgentSpec

__all__ = ["DEVICE", "Dialect", "dialect_of"]


@dataclass(frozen=True)
class Dialect:
    """The words of a world's actions."""

    read: Callable[[str], Answer]
    """Takes an answer apart; never raises."""
    write: Callable[[str, str, Action], str]
    """Reasoning, assessment and action as an answer."""
    grammar: Callable[[Sequence[int] | None, int | None], str]
    """GBNF of an answer, for the numbers on a screen and so many characters of prose."""
    schema: Callable[[Sequence[int] | None], Mapping[str, Any]]
    """JSON Schema of an answer, for endpoints."""
    read_data: Callable[[str], str]
    """What an endpoint answered under that schema, as an answer."""
    ask: Callable[[AgentSpec, str, str], list[dict[str, Any]]] | None = None
    """Agent, instruction and observation as chat messages. None: the prompt of a device, with its memory."""


DEVICE = Dialect(read_answer, write_answer, answer_grammar, answer_schema, read_data)
"""OpenPhone's eight calls in three tags."""


def dialect_of(world: str) -> Dialect:
    """How the agent of a world speaks.

    >>> dialect_of("phone") is DEVICE
    True
    """
    if world not in DIALECTS:
        return DEVICE
    dialect: Dialect = load(DIALECTS[world])
    return dialect

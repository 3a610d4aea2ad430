"""Models that answer by chance, each answer from a seed of its own, so that an episode can be played again.

What a local model answers hangs on nothing else; an endpoint is told the seed and may not heed it, so its answers are
kept on disk. At temperature 0 both are greedy.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from inspect import signature
from typing import Any

from zoo.answering.endpoint import answered
from zoo.answering.kept import KeptAnswers
from zoo.answering.models import ask_runtime, grammar_for
from zoo.prompt import Chat
from zoo.schema import AgentSpec
from zoo.serving import Generation, Noise, Runtime

__all__ = ["Draw", "draw_endpoint", "draw_runtime", "seed_number"]

Draw = Callable[[Sequence[Chat], Sequence[str]], Sequence[Generation]]
"""A model: a batch of chats and a seed for each -> answers with their cost, in the same order."""


def draw_runtime(spec: AgentSpec, runtime: Runtime, temperature: float) -> Draw:
    """A local runtime. Raises ModelError when the agent is constrained and the runtime cannot be."""
    greedy = ask_runtime(spec, runtime)  # also refuses what cannot work
    if not temperature:
        return lambda chats, seeds: greedy(chats)
    generate: Any = runtime.generate
    constrained = spec.constrained and "grammar" in signature(generate).parameters

    def draw(chats: Sequence[Chat], seeds: Sequence[str]) -> list[Generation]:
        noises = [Noise(temperature, seed) for seed in seeds]
        if not constrained:
            return runtime.generate(chats, spec.answer_tokens, noises=noises)
        return [
            answer
            for chat, noise in zip(chats, noises, strict=True)
            for answer in generate([chat], spec.answer_tokens, grammar=grammar_for(spec, chat), noises=[noise])
        ]

    return draw


def draw_endpoint(spec: AgentSpec, kept: KeptAnswers, temperature: float) -> Draw:
    """An endpoint, several chats at a time, whose answers are kept."""

    def one(chat: Chat, seed: str) -> Generation:
        return answered(spec, chat, partial(kept.complete, temperature=temperature, seed=seed_number(seed)))

    def draw(chats: Sequence[Chat], seeds: Sequence[str]) -> list[Generation]:
        with ThreadPoolExecutor(kept.endpoint.parallel) as pool:
            return list(pool.map(one, chats, seeds))

    return draw


def seed_number(seed: str) -> int:
    """A seed as endpoints take it: 31 bits."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) >> 1

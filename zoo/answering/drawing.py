"""Models that answer by chance, each answer from a seed of its own, so that an episode can be played again.

What a local model answers hangs on nothing else; an endpoint is told the seed and may not heed it, so its answers are
kept on disk. At temperature 0 both are greedy.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from zoo.answering.endpoint import answered
from zoo.answering.kept import KeptAnswers
from zoo.answering.models import Numbers, ask_runtime, grammar_for, most_tokens, numbers_of
from zoo.prompt import Chat
from zoo.schema import AgentSpec
from zoo.serving import Generation, Noise, Runtime

__all__ = ["Draw", "draw_endpoint", "draw_runtime", "seed_number"]


class Draw(Protocol):
    """A model: a batch of chats and a seed for each -> answers with their cost, in the same order.

    `numbers`: see `zoo.answering.models.Ask`.
    """

    def __call__(
        self, chats: Sequence[Chat], seeds: Sequence[str], numbers: Numbers | None = None, /
    ) -> Sequence[Generation]: ...


def draw_runtime(spec: AgentSpec, runtime: Runtime, temperature: float) -> Draw:
    """A local runtime. Raises ModelError when the agent is constrained or sees pictures and the runtime cannot."""
    greedy = ask_runtime(spec, runtime)  # also refuses what cannot work

    def draw(chats: Sequence[Chat], seeds: Sequence[str], numbers: Numbers | None = None) -> Sequence[Generation]:
        if not temperature:
            return greedy(chats, numbers)
        noises = [Noise(temperature, seed) for seed in seeds]
        if not spec.constrained:
            return runtime.generate(chats, spec.answer_tokens, noises=noises)
        shown = numbers_of(chats, numbers)
        return [
            runtime.generate([chat], most_tokens(spec), grammar_for(spec, chat, its), noises=[noise])[0]
            for chat, its, noise in zip(chats, shown, noises, strict=True)
        ]

    return draw


def draw_endpoint(spec: AgentSpec, kept: KeptAnswers, temperature: float) -> Draw:
    """An endpoint, several chats at a time, whose answers are kept."""

    def one(chat: Chat, seed: str, shown: Sequence[int]) -> Generation:
        return answered(spec, chat, shown, partial(kept.complete, temperature=temperature, seed=seed_number(seed)))

    def draw(chats: Sequence[Chat], seeds: Sequence[str], numbers: Numbers | None = None) -> list[Generation]:
        with ThreadPoolExecutor(kept.endpoint.parallel) as pool:
            return list(pool.map(one, chats, seeds, numbers_of(chats, numbers)))

    return draw


def seed_number(seed: str) -> int:
    """A seed as endpoints take it: 31 bits."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) >> 1

"""Whoever acts without a model: the world's expert, and chance. They are the upper and the lower bound of a rate."""

import re
from collections.abc import Sequence
from random import Random

from zoo.actions import Action, write_answer
from zoo.agent.loop import Answerer, Situation
from zoo.dialects import dialect_of
from zoo.schema import AgentSpec

__all__ = ["expert_answers", "random_answers"]


def expert_answers(spec: AgentSpec) -> Answerer:
    """The world's expert as an agent: the upper bound of every rate."""
    written = dialect_of(spec.world).write
    return lambda situations: [one.environment.expert().answer(spec.style, written) for one in situations]


_NAMES = ("tap",) * 14 + ("text",) * 2 + ("swipe", "long_press", "back", "home", "finish")
_NUMBER = re.compile(r"\[(\d+)\]")


def random_answers(seed: int) -> Answerer:
    """Chance as an agent: a random call on a random element, with random words of the instruction; mostly taps."""

    def answer(situations: Sequence[Situation]) -> Sequence[str]:
        return [write_answer("", "", _random_action(seed, one)) for one in situations]

    return answer


def _random_action(seed: int, situation: Situation) -> Action:
    rng = Random(f"{seed} {situation.task.id} {len(situation.steps)}")
    numbers = [int(number) for number in _NUMBER.findall(situation.observation)] or [1]
    words = situation.task.instruction.strip(".?").split()
    start = rng.randrange(len(words))
    said = " ".join(words[start : start + rng.randint(1, 3)])
    match rng.choice(_NAMES):
        case "tap" | "long_press" as name:
            return Action(name, (rng.choice(numbers),))
        case "swipe":
            return Action("swipe", (rng.choice(numbers), rng.choice(("up", "down")), "long"))
        case "text" | "finish" as name:
            return Action(name, (said,))
        case name:
            return Action(name)

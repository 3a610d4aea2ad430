"""Questions of reasoning-gym as tasks: generated from a seed, split by their text, scored by their generator.

`train` and `held-out-parameters` share generators; which of the two a question belongs to is decided by the digest of
its text, so that the same question is never in both, whatever the seeds. `held-out-templates` has generators of its
own, `held-out-app` those of another category. reasoning-gym is imported when the first question is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import cycle
from random import Random
from typing import Any

from zoo.environments import Split, Task
from zoo.environments.interpreter.programs import GENERATORS
from zoo.errors import EnvironmentFailure

__all__ = ["Question", "draw_tasks", "question_of"]

_SEEDS = 1 << 30
_MOST = 1 << 17
_RIGHT = 0.99
"""Generators give parts of a point for being near; near is wrong here."""


@dataclass(frozen=True)
class Question:
    """One item of a generator."""

    text: str
    answer: str
    program: str
    """What computes the answer."""
    generator: str
    entry: Any

    def is_right(self, answer: str) -> bool:
        """Whether the generator's own scorer takes the answer for the right one."""
        return bool(_dataset(self.generator, 0).score_answer(answer, self.entry) >= _RIGHT)


def question_of(task: Task) -> Question:
    """The question that a task was made of."""
    return _question(task.values["generator"], task.world)


def draw_tasks(split: Split, count: int, seed: int) -> Sequence[Task]:
    """So many distinct questions, generator after generator; same arguments, same tasks.

    Raises ValueError, with the maximum, when so many are not drawn, and EnvironmentFailure without reasoning-gym.
    """
    if count > _MOST:
        raise ValueError(f"{split} draws {_MOST} tasks; ask for at most so many")
    group = "train" if split == "held-out-parameters" else split
    names = [name for name, generator in GENERATORS.items() if generator.group == group]
    rng = Random(f"arithmetic {split} {seed}")
    rng.shuffle(names)
    drawn: dict[str, Task] = {}
    turns = cycle(names)
    name = next(turns)
    while len(drawn) < count:
        world = rng.randrange(_SEEDS)
        question = _question(name, world)
        if question.text not in drawn and (group != "train" or _is_held_out(question.text) == (split != "train")):
            drawn[question.text] = _task(split, name, world, question)
            name = next(turns)
    return list(drawn.values())


def _task(split: Split, name: str, world: int, question: Question) -> Task:
    template = f"{GENERATORS[name].app}.{name}"
    return Task(
        f"{template}#{world}", template, "query", GENERATORS[name].app, question.text, (("generator", name),), split,
        world,
    )  # fmt: skip


def _is_held_out(text: str) -> bool:
    return bool(sha256(text.encode()).digest()[0] % 2)


def _question(name: str, world: int) -> Question:
    entry = _dataset(name, world)[0]
    program = GENERATORS[name].program(entry["metadata"])
    return Question(entry["question"], entry["answer"], program, name, entry)


def _dataset(name: str, seed: int) -> Any:
    return _gym().create_dataset(name, seed=seed, size=1, **GENERATORS[name].options)


@cache
def _gym() -> Any:
    try:
        import reasoning_gym
    except ImportError as error:
        raise EnvironmentFailure(
            "reasoning-gym is not installed; write: pip install 'edgezoo[reasoning]' (it builds a solver in C)"
        ) from error
    return reasoning_gym

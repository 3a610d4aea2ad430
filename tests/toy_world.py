"""A world that a model of two layers learns in a minute: one of four buttons is right, and no screen says which."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

from zoo.actions import Action, write
from zoo.environments import ExpertStep, Split, Task
from zoo.errors import EpisodeLost

COLOURS = ("red", "blue", "green", "grey")
RIGHT = Action("tap", (3,))
BROKEN = 13
"""The seed of a world that breaks down at its second step."""


def task(colours: Sequence[str], world: int = 0) -> Task:
    name = "-".join(colours)
    return Task(
        f"toy.{name}.{world}", f"toy.{len(colours)}", "operation", "toy", "Tap the right buttons.",
        (("colours", name),), "train", world,
    )  # fmt: skip


@dataclass
class ToyWorld:
    """See `zoo.environments.Environment`. A wrong tap leaves the screen as it is; the last right one ends it."""

    observation: str = "terse"
    done: bool = True
    steps: int = 0

    def reset(self, task: Task) -> str:
        self.task, self.steps, self.done = task, 0, False
        self.colours = task.values["colours"].split("-")
        self.reached = 0
        return self._screen()

    def step(self, action: Action) -> str:
        assert not self.done, "an episode that is over was asked to go on"
        self.steps += 1
        if self.task.world == BROKEN and self.steps == 2:
            raise EpisodeLost("the toy broke")
        if action == RIGHT:
            self.reached += 1
            self.done = self.reached == len(self.colours)
        return self._screen()

    @property
    def numbers(self) -> range:
        return range(1, 5)

    def success(self) -> bool:
        return self.done

    def sub_goals(self) -> tuple[bool, ...]:
        return tuple(number < self.reached for number in range(len(self.colours)))

    def expert(self) -> ExpertStep:
        return ExpertStep(RIGHT, "", "", "", "")

    def copy(self) -> Any:
        other = ToyWorld()
        other.__dict__.update(self.__dict__)
        return other

    @property
    def stored(self) -> int:
        return self.reached

    @staticmethod
    def draw_tasks(split: Split, count: int, seed: int) -> list[Task]:
        every = [task(pair) for pair in product(COLOURS, repeat=2)]
        if count > len(every):
            raise ValueError(f"there are {len(every)} tasks")
        return Random(seed).sample(every, count)

    def _screen(self) -> str:
        return "done" if self.done else self.colours[self.reached]


class TellingToy(ToyWorld):
    """After a wrong tap, the screen says which would have been right."""

    told: bool = False

    def reset(self, task: Task) -> str:
        self.told = False
        return super().reset(task)

    def step(self, action: Action) -> str:
        self.told = action != RIGHT
        return super().step(action)

    def _screen(self) -> str:
        return f"{super()._screen()}: {write(RIGHT)}" if self.told else super()._screen()

    def copy(self) -> Any:
        other = TellingToy()
        other.__dict__.update(self.__dict__)
        return other


class LongToy(ToyWorld):
    """Four buttons in a row."""

    @staticmethod
    def draw_tasks(split: Split, count: int, seed: int) -> list[Task]:
        return [task(four) for four in Random(seed).sample(list(product(COLOURS, repeat=4)), count)]

    def copy(self) -> Any:
        other = LongToy()
        other.__dict__.update(self.__dict__)
        return other


CLOSED: list[str] = []


class ClosedToy(ToyWorld):
    """Says when it is closed."""

    def close(self) -> None:
        CLOSED.append("toy")


class BreakableToy(ToyWorld):
    """Every fourth task breaks down."""

    @staticmethod
    def draw_tasks(split: Split, count: int, seed: int) -> list[Task]:
        drawn = ToyWorld.draw_tasks(split, count, seed)
        return [
            task(one.values["colours"].split("-"), BROKEN if number % 4 == 0 else 0) for number, one in enumerate(drawn)
        ]

"""The tasks that visitors choose from or type, and the episodes that play without a model."""

import re
from collections.abc import Sequence
from pathlib import Path

from visit import LONGEST_TASK

from zoo.agent import open_environment
from zoo.environments import Environment, Split, Task
from zoo.schema import AgentSpec
from zoo.space import Course, SpaceSettings, parse_courses

__all__ = ["Tasks", "playable"]

_OFFERED = 40
_KNOWN = 400
_PHONES = ("phone", "phone-ten")


def playable(spec: AgentSpec) -> AgentSpec:
    """The agent as a page can have it: any world but a phone's becomes the embedded phone, and who looks at screenshots
    reads the words of the screen, since the runtimes of a page have no eyes."""
    world = spec.world if spec.world in _PHONES else "phone"
    return spec.model_copy(update={"world": world, "pictures": "none"})


class Tasks:
    """See the module."""

    def __init__(self, settings: SpaceSettings, folder: Path) -> None:
        world = open_environment(playable(settings.agent))
        split = settings.split if settings.agent.world in _PHONES else "held-out-parameters"  # of a phone's own
        self._known = {_plain(task.instruction): task for task in reversed(_drawn(world, split, _KNOWN, settings.seed))}
        offered = {task.instruction: task for task in reversed(_drawn(world, split, _OFFERED, settings.seed))}
        self.courses: list[Course] = [
            course
            for file in sorted((folder / "episodes").glob("*.jsonl"))
            for course in parse_courses(file.read_text("utf-8"), file.name)
        ]
        offered |= {course.task.instruction: course.task for course in reversed(self.courses)}
        self._known |= {_plain(name): task for name, task in offered.items()}
        self.instructions: list[str] = sorted(offered, key=str.lower)
        self.first: Task = self.courses[0].task if self.courses else offered[self.instructions[0]]

    def find(self, said: str) -> tuple[Task, str]:
        """The task that somebody means, and their own words where it is none that the phone knows.

        Never raises: what is too long is cut, nothing at all is the first task.
        """
        words = " ".join(said.split())[:LONGEST_TASK]
        if not words:
            return self.first, ""
        task = self._known.get(_plain(words))
        return (task, "") if task else (self.first, words)


def _drawn(world: Environment, split: Split, count: int, seed: int) -> Sequence[Task]:
    """So many tasks of a split, or as many as it has."""
    while True:
        try:
            return world.draw_tasks(split, count, seed)
        except ValueError:
            count //= 2
            if not count:
                raise


def _plain(text: str) -> str:
    return re.sub(r"[^\w%:]+", " ", text.casefold()).strip()

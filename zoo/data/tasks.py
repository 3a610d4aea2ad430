"""The tasks that a data stage draws of its world."""

from collections.abc import Sequence

from zoo.environments import Task
from zoo.environments.choosing import choose_tasks
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import DataSpec

__all__ = ["drawn_tasks"]


def drawn_tasks(spec: DataSpec, seed: int, patterns: Sequence[str] = ()) -> list[Task]:
    """`spec.tasks` of its split, of templates that fit a pattern where there are patterns.

    Raises DataError when the split does not have so many.
    """
    return choose_tasks(load(ENVIRONMENTS[spec.agent.world]), spec.split, patterns, spec.tasks, seed)

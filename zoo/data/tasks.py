"""The tasks that a data stage draws of its world."""

from collections.abc import Sequence

from zoo.environments import Task
from zoo.errors import DataError
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import DataSpec

__all__ = ["drawn_tasks"]


def drawn_tasks(spec: DataSpec, seed: int) -> Sequence[Task]:
    """`spec.tasks` of its split. Raises DataError when the split does not have so many."""
    try:
        tasks: Sequence[Task] = load(ENVIRONMENTS[spec.agent.world]).draw_tasks(spec.split, spec.tasks, seed)
    except ValueError as error:
        raise DataError(f"data: `tasks: {spec.tasks}` is too many: {error}") from error
    return tasks

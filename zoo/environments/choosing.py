"""Tasks of a split, of certain templates alone: for rows, evaluation and the playground alike."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from zoo.environments import PartlyKnown, Split, Task
from zoo.errors import DataError

__all__ = ["EXPERT", "choose_tasks"]

EXPERT = "expert"
"""The pattern that every template fits whose way the world's expert knows."""
_WIDEST_DRAW = 1 << 14


def choose_tasks(
    world: Any, split: Split, patterns: Sequence[str], count: int, seed: int, option: str = "templates"
) -> list[Task]:
    """So many tasks of a split; with `patterns` (`clock.*`, `*.click-*`, `expert`), only of templates that fit one.

    `world` is an environment or its class. Without patterns they are the tasks that it draws; with them, those of a
    larger draw that fit. `option` is how whoever asked calls the patterns.

    Raises DataError when the world does not have so many, naming the templates that it has.
    """
    wanted = count
    while True:
        drawn, most = _drawn(world, split, wanted, seed)
        fitting = [task for task in drawn if not patterns or any(_fits(world, pattern, task) for pattern in patterns)]
        if len(fitting) >= count:
            return fitting[:count]
        if most or wanted >= _WIDEST_DRAW:
            said = f"{option} {' '.join(patterns)}: {len(fitting)} tasks" if patterns else f"{len(fitting)} tasks"
            names = ", ".join(sorted({task.template for task in drawn}))
            raise DataError(f"{said} of {split}, {count} are too many; its templates: {names}; {most}".rstrip("; "))
        wanted *= 2


def _drawn(world: Any, split: Split, wanted: int, seed: int) -> tuple[list[Task], str]:
    """So many tasks; where there are not so many, all that there are and the world's own word on it."""
    try:
        return list(world.draw_tasks(split, wanted, seed)), ""
    except ValueError as error:
        why = str(error)
    fewest, too_many = 0, wanted
    while too_many - fewest > 1:
        middle = (fewest + too_many) // 2
        try:
            world.draw_tasks(split, middle, seed)
            fewest = middle
        except ValueError:
            too_many = middle
    return list(world.draw_tasks(split, fewest, seed)) if fewest else [], why


def _fits(world: Any, pattern: str, task: Task) -> bool:
    if pattern == EXPERT:
        return not isinstance(world, PartlyKnown) or world.expert_knows(task)
    return fnmatchcase(task.template, pattern)

"""The tasks of the phone: which there are, how they are drawn, and what is right in the end."""

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import NamedTuple
from zlib import crc32

from zoo.environments import Split, Task
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.edition import FOUR, TEN, Edition
from zoo.environments.phone.tasks.template import Look, Template, cases

__all__ = ["FOUR", "TEMPLATES", "TEN", "WORLDS", "Edition", "Goal", "draw_tasks", "set_up", "task_count"]

TEMPLATES = FOUR.templates
"""`app.what` -> the template, of the phone with four apps."""

WORLDS = 8
"""Phones on which one combination of parameters may be set; tasks on different phones are different tasks."""


class Goal(NamedTuple):
    """What is right in the end."""

    data: Data
    """All that the phone then stores: whatever else changed is collateral damage."""
    look: Look | None
    """What has to be read from a screen on the way."""
    answer: str | None
    """What `finish` has to say; None when that does not matter."""


def draw_tasks(split: Split, count: int, seed: int, edition: Edition = FOUR) -> list[Task]:
    """So many distinct tasks, evenly over the templates of the split, in turn; same arguments, same tasks.

    Combinations of parameters repeat, on another phone, only when a template has no new one left.

    Raises ValueError, with the maximum, when the split does not have so many.

    >>> len({task.template for task in draw_tasks("train", 20, seed=0)})
    20
    """
    maximum = task_count(split, edition)
    if count > maximum:
        raise ValueError(f"the phone's split {split!r} has {maximum} tasks, not {count}; ask for at most that many")
    templates = _templates(split, edition)
    order = Random(f"{seed} {split}").sample(templates, len(templates))
    return list(islice(_in_turn([_tasks_of(template, split, seed) for template in order]), count))


def task_count(split: Split, edition: Edition = FOUR) -> int:
    """How many distinct tasks a split has."""
    return WORLDS * sum(len(cases(template, split)) for template in _templates(split, edition))


def set_up(task: Task, edition: Edition = FOUR) -> tuple[Data, Goal]:
    """The phone on which a task begins, and what is right in the end."""
    template = edition.templates[task.template]
    phone = edition.draw(task.world)
    phone |= template.prepare(phone, task.values)
    look = template.look(phone, task.values) if template.look else None
    answer = look.fact if look and template.kind == "query" else None
    return phone, Goal({**phone, **template.change(phone, task.values)}, look, answer)


def _templates(split: Split, edition: Edition) -> list[Template]:
    """An app that is held out is so with all its templates."""
    away, held_out = split == "held-out-app", split == "held-out-templates"
    return [
        template
        for template in edition.templates.values()
        if (template.app == edition.held_out_app) == away and (away or template.held_out == held_out)
    ]


def _in_turn(sources: Sequence[Iterator[Task]]) -> Iterator[Task]:
    """One of each, round after round, until all are used up."""
    waiting = list(sources)
    while waiting:
        for source in list(waiting):
            task = next(source, None)
            if task is None:
                waiting.remove(source)
            else:
                yield task


def _tasks_of(template: Template, split: Split, seed: int) -> Iterator[Task]:
    rng = Random(f"{seed} {template.name}")
    possible = cases(template, split)
    for world in range(WORLDS):
        for parameters in rng.sample(possible, len(possible)):
            yield _task(template, split, parameters, world)


def _task(template: Template, split: Split, parameters: tuple[tuple[str, str], ...], world: int) -> Task:
    """One task. Its phone and its wording follow from its id, so that a task is the same under every seed."""
    name = f"{template.name}({', '.join(value for _, value in parameters)})#{world}"
    world_seed = crc32(name.encode())
    wording = template.instructions[world_seed % len(template.instructions)]
    instruction = wording.format(**template.show(dict(parameters)))
    return Task(name, template.name, template.kind, template.app, instruction, parameters, split, world_seed)

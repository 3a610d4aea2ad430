"""Recorded episodes for a page: what an agent answered, step by step, so that it can be played without any model.

A line holds the task whole and the answers alone. Screens are not in it: the world is deterministic, so the answers
give them back. Not covered: worlds that need a browser or a device.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from zoo.environments import Task
from zoo.errors import DataError
from zoo.records import StageRecord
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import AgentSpec

__all__ = ["Course", "parse_courses", "recorded"]

_PLAYABLE = ("phone", "phone-ten")
_MOST = 12
_SOLVED_SHARE = 2 / 3


@dataclass(frozen=True)
class Course:
    """One episode as a page plays it again."""

    task: Task
    answers: tuple[str, ...]
    seconds: tuple[float, ...]
    """Of each answer, as measured when it was recorded."""
    success: bool
    ended: str
    by: str
    """Whose episode: the name of the evaluation, or of the model."""


def recorded(record: StageRecord, episodes: str, most: int = _MOST) -> str:
    """Some episodes of an evaluation as lines of `episodes/<name>.jsonl`: one a template, two thirds of them solved
    where there are so many, the rest not.

    `episodes` is the stage's `episodes.jsonl`. Empty for a world that cannot be played again. Raises DataError when
    the episodes are not of this record's tasks.
    """
    agent = AgentSpec(**record.settings["agent"])
    if agent.world not in _PLAYABLE:
        return ""
    world = load(ENVIRONMENTS[agent.world])
    drawn = world.draw_tasks(record.settings["split"], record.settings["tasks"], record.seed)
    tasks = {task.id: task for task in drawn}
    played = [_course(json.loads(line), tasks, record.name) for line in episodes.split("\n") if line.strip()]
    return "".join(_line(course) for course in _chosen(played, most))


def parse_courses(text: str, where: str) -> list[Course]:
    """The episodes of a file that `recorded` wrote.

    Raises DataError, with the line, for what is none.
    """
    return [_parsed(line, f"{where}:{at}") for at, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _course(data: Mapping[str, Any], tasks: Mapping[str, Task], name: str) -> Course:
    task = tasks.get(data["task"])
    if task is None:
        raise DataError(f"{name}: episode {data['task']!r} is none of the tasks that its record names")
    steps = data["steps"]
    return Course(
        task,
        tuple(step["answer"] for step in steps),
        tuple(round(step["seconds"], 3) for step in steps),
        data["success"],
        data["ended"],
        name,
    )


def _chosen(courses: Iterable[Course], most: int) -> list[Course]:
    seen: set[tuple[str, bool]] = set()
    solved: list[Course] = []
    unsolved: list[Course] = []
    for course in courses:
        if (course.task.template, course.success) not in seen:
            seen.add((course.task.template, course.success))
            (solved if course.success else unsolved).append(course)
    wanted = max(round(most * _SOLVED_SHARE), most - len(unsolved))
    return [*solved[:wanted], *unsolved[: most - min(wanted, len(solved))]]


def _line(course: Course) -> str:
    task = {one.name: getattr(course.task, one.name) for one in fields(Task) if one.init}
    rest = {name: getattr(course, name) for name in ("answers", "seconds", "success", "ended", "by")}
    return json.dumps({"task": task, **rest}, ensure_ascii=False) + "\n"


def _parsed(line: str, where: str) -> Course:
    try:
        data = json.loads(line)
        parameters = tuple((name, value) for name, value in data["task"]["parameters"])
        task = Task(**{**data.pop("task"), "parameters": parameters})
        return Course(task, tuple(data.pop("answers")), tuple(data.pop("seconds")), **data)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}: no recorded episode: {error}; they are written by zoo.space.recorded") from error

"""Rows of the service desk whose answers name the thing before the call: what the small model learns from.

    python benchmarks/ablations/desk_rows.py runs

`runs/small-demos`: the expert's steps, as rows to imitate. `runs/small-hasty`: those of somebody who can do the same
and in three of five steps gives the first thing at hand, a habit that reinforcement has to break.
`runs/small-foresight`: what is observed after the expert's call and two others at each state, as rows of a world model.
`...-foreseen`: those beside the others.

The expert's own assessment says which datum is wanted; here it says the datum itself, and of a button its number
("Refund [2]"), so that each word is one look-up away from the last: without the number the small model learned what to
say and not where to tap. Every seed of a comparison reads the same rows.
"""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from zoo.actions import Action, write, write_answer
from zoo.data.rows import Row, plain, write_rows
from zoo.environments import Task
from zoo.environments.desk import DeskEnvironment, draw_tasks
from zoo.prompt import foresight, messages
from zoo.schema import AgentSpec

AGENT = AgentSpec(world="desk", style="terse", observation="terse", memory="none", rounds=8, answer_tokens=12)
_ALTERNATIVES = 2
_HASTE = 0.6
"""How often the hasty demonstrator gives the first thing at hand."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--demos", type=int, default=4000, help="tasks, default %(default)s")
    parser.add_argument("--hasty", type=int, default=1500, help="tasks, default %(default)s")
    parser.add_argument("--foresight", type=int, default=600, help="tasks, default %(default)s")
    options = parser.parse_args()
    demos = [row for task in draw_tasks("train", options.demos, seed=0) for row in shown(task)]
    hasty = [row for task in draw_tasks("train", options.hasty, seed=2) for row in shown(task, _HASTE)]
    seen = [row for task in draw_tasks("train", options.foresight, seed=1) for row in foreseen(task)]
    sets = {"demos": demos, "hasty": hasty, "foresight": seen}
    sets |= {f"{name}-foreseen": [*sets[name], *seen] for name in ("demos", "hasty")}
    print(json.dumps({name: _written(options.folder / f"small-{name}", rows) for name, rows in sets.items()}))


def shown(task: Task, haste: float = 0.0) -> Iterator[Row]:
    """The steps of an expert, or of somebody who often gives the first thing at hand, and only then what is asked."""
    rng = Random(f"shown {task.id}")
    environment = DeskEnvironment("terse")
    seen = environment.reset(task)
    while not environment.done:
        action = environment.expert().action
        if rng.random() < haste:
            action = _first(task, seen, action)
        yield _row(task, environment.steps, _asked(task, seen), answer(environment, seen, action), action)
        seen = environment.step(action)


def _first(task: Task, seen: str, right: Action) -> Action:
    """The topmost button, or the fact that the task names first."""
    if right.name == "tap":
        return Action("tap", (1,))
    if right.name == "text":
        return Action("text", (min(task.values.values(), key=task.instruction.index),))
    return right


def foreseen(task: Task) -> Iterator[Row]:
    """What each step of the expert leads to, and what others at the same state would have led to."""
    rng = Random(f"foreseen {task.id}")
    for number, seen, environment in _way(task):
        chosen = {environment.expert().action: None, **dict.fromkeys(_others(task, seen, rng))}
        for action in chosen:
            chat = foresight(_asked(task, seen), answer(environment, seen, action))
            yield _row(task, number, chat, environment.copy().step(action), action)


def answer(environment: DeskEnvironment, seen: str, action: Action) -> str:
    """What the clerk asks for, then the thing, then the call."""
    named = "done"
    if action.name == "tap":
        (number,) = action.arguments
        named = f"{_buttons(seen)[number]} [{number}]"
    elif action.name == "text":
        named = str(action.arguments[0])
    return write_answer(environment.expert().reasoning, named, action)


def _way(task: Task) -> Iterator[tuple[int, str, DeskEnvironment]]:
    """The expert's steps: their number, what is seen, and the desk before them."""
    environment = DeskEnvironment("terse")
    seen = environment.reset(task)
    while not environment.done:
        yield environment.steps, seen, environment
        seen = environment.step(environment.expert().action)


def _others(task: Task, seen: str, rng: Random) -> list[Action]:
    """Calls that a beginner might try."""
    taps = [Action("tap", (number,)) for number in _buttons(seen)]
    said = [Action("text", (value,)) for value in sorted(task.values.values())]
    return rng.sample(taps or said, _ALTERNATIVES)


def _buttons(seen: str) -> dict[Any, str]:
    return {int(number): label for label, number in re.findall(r"^(.+) \[(\d)\]$", seen, re.MULTILINE)}


def _asked(task: Task, seen: str) -> list[dict[str, Any]]:
    return messages(AGENT, task.instruction, [], seen)


def _row(task: Task, number: int, prompt: list[dict[str, Any]], said: str, action: Action) -> Row:
    return Row(prompt, [{"role": "assistant", "content": said}], write(action), task.id, task.template, number)


def _written(folder: Path, rows: list[Row]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return write_rows(folder, map(plain, rows)).total()


if __name__ == "__main__":
    main()

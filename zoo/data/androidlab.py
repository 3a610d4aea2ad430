"""Traces as AndroidLab's recorder writes them (`recorder/json_recoder.py`, arXiv 2410.24024), as episodes.

A folder of task folders, each with `traces/*.jsonl` (a step a line: `target`, `xml`, `labeled_image`, `parsed_action`,
`current_response`), the dumps of uiautomator and the screenshots; their paths are of the machine that recorded, so
files are found by their name within the task's folder. A step with a labelled screenshot and a call by number becomes
a row with that picture; any other, a row with the dump as this agent sees screens, its element named by its number.

As OpenPhone's builder does, a trace is kept when it reaches `finish`. Not covered: boxes relative to 1000 units, and
the calls that the eight of `zoo.actions` have no counterpart for (Enter, Launch, Call_API); such steps are no rows.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo.actions import Action, parse, read_answer, write_answer
from zoo.data.records import records
from zoo.data.samples import Dropped
from zoo.data.trajectories import Trajectory, TrajectoryStep
from zoo.environments.android.hierarchy import Node, read_hierarchy
from zoo.environments.line import screen_text
from zoo.errors import DataError, EpisodeLost
from zoo.schema import AgentSpec

__all__ = ["traces"]

_SIMPLE = {"back": "back()", "press back": "back()", "home": "home()", "press home": "home()"}
_POINTED = {"tap": "tap", "long press": "long_press", "swipe": "swipe"}
Point = tuple[float, float]


class _Unusable(Exception):
    """Why one step is no row. It never leaves this module."""


def traces(source: Path, agent: AgentSpec) -> Iterator[Trajectory | Dropped]:
    """Every trace below a folder; for one that never finishes, why each of its steps is dropped.

    Raises DataError when there is no trace, or a line of one is no step.
    """
    files = sorted(source.rglob("*.jsonl")) if source.is_dir() else [source]
    if not files:
        raise DataError(f"{source} holds no traces; AndroidLab writes traces/trace.jsonl for each task")
    for file in files:
        folder = file.parent.parent if file.parent.name == "traces" else file.parent
        steps = list(records(file))
        for number, step in enumerate(steps, start=1):
            if "target" not in step or ("parsed_action" not in step and "current_response" not in step):
                raise DataError(f"{file}: record {number} is no step of AndroidLab; it has {', '.join(sorted(step))}")
        dropped: list[str] = []
        made = [_step(step, folder, agent, dropped) for step in steps]
        if not made or made[-1].action is None or made[-1].action.name != "finish":
            yield from (Dropped("of a trace that does not end with finish") for _ in steps)
            continue
        yield from (Dropped(why) for why in dropped)
        name = folder.relative_to(source).as_posix() if source.is_dir() else file.stem
        yield Trajectory(name, _template(name), str(steps[0]["target"]), tuple(made))


def _template(name: str) -> str:
    """AndroidLab names a task's folder `clock_1_2024-...`: app and number of the task."""
    words = name.rsplit("/", 1)[-1].split("_")
    return ".".join(words[:2]) if len(words) > 1 and words[1].isdigit() else words[0] or "androidlab"


def _step(step: dict[str, Any], folder: Path, agent: AgentSpec, dropped: list[str]) -> TrajectoryStep:
    said = str(step.get("current_response") or step.get("response") or "").replace("type(", "text(")
    labelled = _beside(folder, step.get("labeled_image"))
    try:
        if labelled and (action := parse(said)):
            return TrajectoryStep("", _answer(said, action), action, pictures=(labelled,))
        nodes = _nodes(step, folder)
        called = _call(step.get("parsed_action"), said, nodes)
        title = str(step.get("current_activity") or "Home").split("/")[0]
        seen = screen_text(title, [node.line for node in nodes], agent.observation)
        return TrajectoryStep(seen, _answer(said, called), called)
    except (_Unusable, EpisodeLost) as why:
        dropped.append(str(why) if isinstance(why, _Unusable) else "a dump that is no XML")
        return TrajectoryStep("", said, None, is_row=False)


def _answer(said: str, action: Action) -> str:
    """What was said about the step, around the call as this agent writes it."""
    read = read_answer(said)
    return write_answer(read.reasoning or "", read.assessment or "", action)


def _nodes(step: dict[str, Any], folder: Path) -> list[Node]:
    for key in ("xml", "ac_xml"):
        if file := _beside(folder, step.get(key)):
            return read_hierarchy(file.read_text("utf-8"))
    raise _Unusable("neither a labelled screenshot nor a dump of the screen")


def _beside(folder: Path, path: Any) -> Path | None:
    """The file of this name within a task's folder."""
    name = Path(str(path or "").replace("\\", "/")).name
    if not name or name == "ERROR":
        return None
    return next((file for file in sorted(folder.rglob(name)) if file.is_file()), None)


def _call(parsed: Any, said: str, nodes: Sequence[Node]) -> Action:
    if not isinstance(parsed, dict) or "action" not in parsed:
        if action := parse(said):
            return action
        raise _Unusable("no call that can be read")
    name, given = str(parsed["action"]).lower(), parsed.get("kwargs") or {}
    if name in _POINTED:
        words = [str(_number(given.get("element"), nodes))]
        words += [json.dumps(given[key]) for key in ("direction", "dist") if name == "swipe" and given.get(key)]
        text = f"{_POINTED[name]}({', '.join(words)})"
    elif name == "type":
        text = f"text({json.dumps(str(given.get('text', given.get('argument', ''))))})"
    elif name == "finish":
        text = f"finish({json.dumps(given['message'])})" if given.get("message") else "finish()"
    elif name == "wait":
        text = f"wait({given['interval']})" if given.get("interval") else "wait()"
    else:
        text = _SIMPLE.get(name, "")
    if action := parse(text):
        return action
    raise _Unusable(f"a call without counterpart: {parsed['action']}")


def _number(element: Any, nodes: Sequence[Node]) -> int:
    """The number on this screen of an element that is given by its bounds or by a point within it."""
    if not isinstance(element, list | tuple) or len(element) not in (2, 4):
        raise _Unusable("an element that is neither bounds nor a point")
    touchable = [node for node in nodes if node.line.number]
    if len(element) == 4:
        for node in touchable:
            if list(node.bounds) == [round(value) for value in element]:
                return node.line.number
        point = ((element[0] + element[2]) / 2, (element[1] + element[3]) / 2)
    else:
        point = (element[0], element[1])
    around = [node for node in touchable if _holds(node, point)]
    if not around:
        raise _Unusable("an element that is not on the screen")
    return min(around, key=_area).line.number


def _holds(node: Node, point: Point) -> bool:
    left, top, right, bottom = node.bounds
    return left <= point[0] <= right and top <= point[1] <= bottom


def _area(node: Node) -> int:
    left, top, right, bottom = node.bounds
    return (right - left) * (bottom - top)

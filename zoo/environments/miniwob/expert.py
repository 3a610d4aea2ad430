"""The way through the simpler pages, read from the instruction alone: what to tick, to type and to tap, in order.

It stands for the demonstrations that a student imitates and proves that a page can be solved by what is on screen.
Covered: the pages of `EXPERT_TASKS`. Not covered: pages that ask to read, to compute or to look around first.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo.actions import Action
from zoo.environments import ExpertStep, Task
from zoo.environments.line import Line
from zoo.errors import EnvironmentFailure

__all__ = ["EXPERT_TASKS", "next_step"]


@dataclass(frozen=True)
class Want:
    """One thing to bring about on a page."""

    kind: str
    """`tick` a box or row, `type` into a field, `tap` a thing that shows no state."""
    label: str
    """Of the thing; for `type`, the number of the field among the fields, from 0."""
    text: str = ""


_QUOTED = re.compile(r'"([^"]*)"')


def _quoted(text: str) -> list[str]:
    return _QUOTED.findall(text)


def _listed(text: str, pattern: str) -> list[str]:
    """The comma-separated names in the first group of a pattern; none for `nothing`."""
    match = re.search(pattern, text)
    names = match[1] if match else ""
    return [] if names in ("", "nothing") else re.split(r", (?:and )?", names)


def _typed(*fields: int) -> Callable[[str], list[Want]]:
    """The quoted texts, one after the other, into these fields; the last text again for a field without one."""

    def wants(text: str) -> list[Want]:
        said = _quoted(text)
        return [Want("type", str(field), said[min(at, len(said) - 1)]) for at, field in enumerate(fields)]

    return wants


def _taps(text: str) -> list[Want]:
    return [Want("tap", label) for label in _quoted(text)]


def _ticks(text: str) -> list[Want]:
    return [Want("tick", label) for label in _listed(text, r"Select (.*?) (?:and click|from the (?:scroll )?list)")]


def _changed_case(text: str) -> list[Want]:
    (said,) = _quoted(text)
    return [Want("type", "0", said.upper() if "upper case" in text else said.lower())]


def _words(text: str) -> list[Want]:
    return [Want("tap", word) for word in re.findall(r"button ([A-Z]+)", text)]


def _plan(before: Callable[[str], list[Want]], *last: str) -> Callable[[str], list[Want]]:
    return lambda text: [*before(text), *(Want("tap", label) for label in last)]


def _nothing(text: str) -> list[Want]:
    return []


_PLANS: dict[str, Callable[[str], list[Want]]] = {
    "choose-list": _plan(_ticks, "Submit"),
    "click-button": _taps,
    "click-button-sequence": _words,
    "click-checkboxes": _plan(_ticks, "Submit"),
    "click-checkboxes-large": _plan(_ticks, "Submit"),
    "click-checkboxes-transfer": _plan(_ticks, "Submit"),
    "click-collapsible": _plan(lambda text: [Want("tap", "*")], "Submit"),
    "click-dialog": _plan(_nothing, "Close"),
    "click-dialog-2": lambda text: [Want("tap", "Close" if said == "x" else said) for said in _quoted(text)],
    "click-link": _taps,
    "click-option": _plan(_ticks, "Submit"),
    "click-scroll-list": _plan(_ticks, "Submit"),
    "click-tab": lambda text: [Want("tap", label) for label in re.findall(r"Tab #\d+", text)],
    "click-test": _plan(_nothing, "Click Me!"),
    "click-test-2": _words,
    "click-test-transfer": _words,
    "enter-password": _plan(_typed(0, 1), "Submit"),
    "enter-text": _plan(_typed(0), "Submit"),
    "enter-text-2": _plan(_changed_case, "Submit"),
    "enter-text-dynamic": _plan(_typed(0), "Submit"),
    "focus-text": lambda text: [Want("focus", "0")],
    "focus-text-2": lambda text: [Want("focus", str(int(re.findall(r"\d+", text)[0]) - 1))],
    "login-user": _plan(_typed(0, 1), "Login"),
    "unicode-test": _taps,
}
"""Page -> the wants that its instruction says."""

EXPERT_TASKS: tuple[str, ...] = tuple(_PLANS)


def next_step(task: Task, entries: Sequence[Line], touched: Sequence[str]) -> ExpertStep:
    """The first want that the screen does not show as done. `touched` are the labels that were tapped so far.

    Raises EnvironmentFailure on a page that the expert does not know, or that does not show what it should.
    """
    if task.app not in _PLANS:
        raise EnvironmentFailure(f"no expert knows {task.app}; it knows {', '.join(EXPERT_TASKS)}")
    left = list(touched)
    for want in _PLANS[task.app](task.instruction):
        if action := _missing(want, entries, left):
            return _explained(task, want, action)
    raise EnvironmentFailure(f"{task.app}: the expert has nothing left to do on {task.instruction!r}")


def _missing(want: Want, entries: Sequence[Line], left: list[str]) -> Action | None:
    """What brings a want about; None when it is."""
    if want.kind in ("type", "focus"):
        return _field_action(want, [entry for entry in entries if entry.role == "EditText"])
    numbered = [entry for entry in entries if entry.number]
    found = [entry for entry in numbered if _fits(entry, want.label)]
    if want.kind == "tick":
        row = _first(found, want)
        return None if row.status in ("checked", "selected") else Action("tap", (row.number,))
    done = next((label for label in left if want.label in ("*", label)), None)
    if done is not None:
        left.remove(done)
        return None
    return Action("tap", (_first(found, want).number,))


def _field_action(want: Want, fields: Sequence[Line]) -> Action | None:
    if int(want.label) >= len(fields):
        raise EnvironmentFailure(f"there is no field {want.label}; the page has {len(fields)}")
    field = fields[int(want.label)]
    if want.kind == "type" and field.text.endswith(f": {want.text}".rstrip()):
        return None
    if field.status != "focused":
        return Action("tap", (field.number,))
    return Action("text", (want.text,))


def _fits(entry: Line, label: str) -> bool:
    return label == "*" or entry.text.casefold() == label.casefold()


def _first(found: Sequence[Line], want: Want) -> Line:
    if not found:
        raise EnvironmentFailure(f"the page shows no {want.label!r}")
    return found[0]


def _explained(task: Task, want: Want, action: Action) -> ExpertStep:
    does = {"tap": "Tap", "text": "Type", "long_press": "Hold"}[action.name]
    what = want.text if action.name == "text" else want.label if want.kind in ("tick", "tap") else "the field"
    short = f"On {task.app}; need {what}."
    long = f"Current State: the page {task.app}. Required Change: {what}. Action Need: {does.lower()} it."
    return ExpertStep(
        action, f"{does} {what}.", short, f"The task says: {task.instruction} I {does.lower()} {what}.", long
    )

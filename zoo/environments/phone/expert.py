"""The scripted expert: what is still wrong, the nearest way to mend it, and a few words on why.

It looks at the state afresh in every step, so it works from wherever an agent has strayed to. What cannot be undone (a
message sent to somebody else) it cannot mend: it then finishes, and the task fails.
"""

from typing import NamedTuple

from zoo.actions import DEFAULT_FINISH, Action
from zoo.environments import ExpertStep
from zoo.environments.phone.app import Want
from zoo.environments.phone.apps import APPS
from zoo.environments.phone.machine import blocking, touchable, typing, visible
from zoo.environments.phone.screen import Effect, Element, Screen
from zoo.environments.phone.state import Data, Disturbance, State
from zoo.environments.phone.tasks import Goal

__all__ = ["next_step", "wants"]

_TOUCHES = ("tap", "long_press", "swipe")
_BACK, _HOME = Action("back"), Action("home")


class Move(NamedTuple):
    """An action, and what it is for."""

    action: Action
    does: str
    """`Open Clock`."""
    needs: str
    """`Clock`."""


def wants(state: State, goal: Goal, seen: bool) -> list[Want]:
    """What is still to be done, most urgent first; empty when it is time to finish.

    What an operation needs from another screen is read first, and whatever hides it is mended before. A question's
    answer is read last, so that it is fresh when `finish` says it.
    """
    look = [Want(goal.look.places, (), label=goal.look.label)] if goal.look and not seen else []
    if goal.answer is not None or not look:
        return [*_repairs(state, goal.data), *look]
    return [*_repairs(state, goal.data, look[0].places[0][0]), *look]


def next_step(state: State, goal: Goal, seen: bool, instruction: str) -> ExpertStep:
    """What leads from a state to the goal."""
    screen, elements = visible(state)
    waiting = wants(state, goal, seen)
    known = goal.look.fact if goal.look and seen else ""
    move = _move(state, waiting[0], screen, touchable(elements)) if waiting else None
    if (
        waiting
        and state.disturbances
        and (blocked := blocking(state))
        and (not move or move.action not in (_BACK, _HOME))
    ):
        move = _unblock(blocked)
    if move is None:
        return _finish(screen, goal, known, instruction)
    return _explained(move, screen, known, instruction)


def _unblock(disturbance: Disturbance) -> Move:
    if disturbance.kind == "slow":
        return Move(Action("wait", (5,)), "Wait for the screen", "the screen to load")
    return Move(Action("tap", (1,)), "Tap Allow", "the dialog out of the way")


def _repairs(state: State, goal: Data, only: str = "") -> list[Want]:
    """What the apps have to mend, one app after the other so that two never pull in turns; in an app, nearest first."""
    here = [place[:2] for place in state.stack]
    names = [only] if only else [name for name in APPS if name in state.data["launcher"]]
    return [
        want
        for name in names
        for want in sorted(APPS[name].repair(state.data, goal), key=lambda want: -_common(here, want))
    ]


def _common(here: list[tuple[str, str]], want: Want) -> int:
    """Screens that are already open on the way to a want."""
    matches = [a == b for a, b in zip(here, want.places, strict=False)]
    return matches.index(False) if False in matches else len(matches)


def _move(state: State, want: Want, screen: Screen, numbered: list[Element]) -> Move | None:
    """The next action towards a want; None when the way to it is gone, as to a thread that was deleted."""
    here = [place[:2] for place in state.stack]
    if here and here[-1] == want.places[-1]:
        return _act(want, screen, numbered, state.stack[-1].focus, state.stack[-1].scroll)
    common = _common(here, want)
    if common == len(want.places) == len(here) - 1 and (move := _pick(want, here[-1], screen, numbered, state)):
        return move
    if common < len(here):
        return _retreat(len(here) - common + typing(state), common)
    target = want.places[common]
    effect = ("open", *target) if target[1] else ("open", target[0])
    return _reach(effect, screen, numbered, state.stack[-1].scroll if state.stack else 0)


def _retreat(surplus: int, common: int) -> Move:
    """Back out of wrong screens, the keyboard counting as one, or start over from the launcher where that is
    shorter."""
    if surplus <= 1 + common:
        return Move(_BACK, "Go back", "another screen")
    return Move(_HOME, "Go home", "another app")


def _act(want: Want, screen: Screen, numbered: list[Element], focus: str, scroll: int) -> Move | None:
    """At the place of a want: fill what is not filled, then touch."""
    for name, value in want.fields:
        picks = [element for element in numbered if element.on_tap == ("put", name, value)]
        if picks and picks[0].status != "selected":
            return _reach(picks[0].on_tap, screen, numbered, scroll)
        opens = [element for element in numbered if element.role == "Spinner" and element.on_tap[-1] == name]
        if opens and opens[0].value != value:
            return _reach(opens[0].on_tap, screen, numbered, scroll)
        holds = [element.value for element in numbered if element.on_tap == ("focus", name)]
        if holds and holds[0] != value:
            if focus == name:
                return Move(Action("text", (value,)), f'Type "{value}"', f'"{value}"')
            return _reach(("focus", name), screen, numbered, scroll)
    if want.label:
        return _scroll_to(
            [at for at, row in enumerate(screen.rows) if row.label == want.label], screen, numbered, scroll
        )
    return _reach(want.effect, screen, numbered, scroll)


def _pick(want: Want, dialog: tuple[str, str], screen: Screen, numbered: list[Element], state: State) -> Move | None:
    """In a dialog that a form of the want opened: pick what the form must hold."""
    value = dict(want.fields).get(dialog[1])
    if value is None or not dialog[0].endswith("/pick"):
        return None
    return _reach(("pick", dialog[1], value), screen, numbered, state.stack[-1].scroll)


def _reach(effect: Effect, screen: Screen, numbered: list[Element], scroll: int) -> Move | None:
    """Touch the element that has an effect, or scroll towards it; None when the screen has none."""
    for index, element in enumerate(numbered, start=1):
        if effect and element.on_tap == effect:
            return Move(Action("tap", (index,)), _tapping(element), element.label)
        if effect and element.on_hold == effect:
            return Move(Action("long_press", (index,)), f"Hold {element.label}", element.label)
    return _scroll_to(
        [at for at, row in enumerate(screen.rows) if effect and effect in (row.on_tap, row.on_hold)],
        screen,
        numbered,
        scroll,
    )


def _scroll_to(hidden: list[int], screen: Screen, numbered: list[Element], scroll: int) -> Move | None:
    """Bring a row that is not on the display nearer; None when there is none, or nothing scrolls."""
    if not hidden or not any(element.role == "ListView" for element in numbered):
        return None
    container = 1 + next(at for at, element in enumerate(numbered) if element.role == "ListView")
    direction, label = "down" if hidden[0] < scroll else "up", screen.rows[hidden[0]].label
    return Move(Action("swipe", (container, direction, "long")), f"Scroll to {label}", label)


def _tapping(element: Element) -> str:
    if element.on_tap[0] == "open":
        return f"Open {element.label}"
    if element.on_tap[0] == "focus":
        return f"Select {element.label}"
    return f"Switch {element.label}" if element.role == "Switch" else f"Tap {element.label}"


def _explained(move: Move, screen: Screen, known: str, instruction: str) -> ExpertStep:
    knows = f" Know {known}." if known else ""
    touched = f" [{move.action.arguments[0]}]" if move.action.name in _TOUCHES else ""
    return ExpertStep(
        move.action,
        f"{move.does}{touched}.",
        f"On {screen.title}; need {move.needs}.{knows}",
        f"My task is: {instruction} I am on the screen {screen.title}. The next thing I need is {move.needs}. "
        f"So I do this: {move.does}.",
        f"Current State: The screen {screen.title} is open.{f' I have read {known}.' if known else ''}\n"
        f"Required Change: {instruction}\n"
        f"Action Need: {move.does}.",
    )


def _finish(screen: Screen, goal: Goal, known: str, instruction: str) -> ExpertStep:
    """A question whose answer was not read ends without one."""
    answer = known if goal.answer is not None else ""
    outcome = f"It is {answer}" if answer else "Done"
    return ExpertStep(
        Action("finish", (answer or DEFAULT_FINISH,)),
        f"{outcome}.",
        f"On {screen.title}; {f'it is {answer}' if answer else 'nothing left'}.",
        f"My task is: {instruction} I am on the screen {screen.title}, and nothing is left to do. {outcome}.",
        f"Current State: The screen {screen.title} is open. {outcome}.\nRequired Change: None.\nAction Need: Finish.",
    )

"""What the phone shows and what an action does to it: two pure functions over `State`, and the text of a screen."""

from zoo.actions import Action
from zoo.environments.phone.apps import APPS, COMMANDS, SCREENS
from zoo.environments.phone.screen import ROWS_VISIBLE, Effect, Element, Screen, button, note, row
from zoo.environments.phone.state import Disturbance, State

__all__ = [
    "SCROLL_ROWS",
    "blocking",
    "observe",
    "observe_tersely",
    "screen_of",
    "touchable",
    "transition",
    "typing",
    "visible",
]

SCROLL_ROWS = {"short": 2, "medium": 4, "long": ROWS_VISIBLE}
"""Rows that a swipe moves; a long one shows the next page and skips nothing."""

_LIST = Element("", "ListView")


def screen_of(state: State) -> Screen:
    """What the visible place shows, rows outside the visible part included."""
    if not state.stack:
        return _launcher(state)
    if state.disturbances and (blocked := blocking(state)):
        return _blocked(blocked)
    place = state.stack[-1]
    return SCREENS[place.screen](state.data, place)


def blocking(state: State) -> Disturbance | None:
    """What stands before the visible screen and has to be dealt with first."""
    if not state.stack:
        return None
    app = state.stack[-1].screen.partition("/")[0]
    return next((one for one in state.disturbances if one.app == app and one.kind in ("permission", "slow")), None)


def typing(state: State) -> bool:
    """Whether the keyboard is on the display."""
    return bool(state.stack and state.stack[-1].focus) and not blocking(state)


def visible(state: State) -> tuple[Screen, tuple[Element, ...]]:
    """The screen, and those of its elements that are on the display now.

    A list longer than the display is preceded by its container, the one element that can be swiped.
    """
    screen = screen_of(state)
    fixed, rows = screen.fixed, screen.rows
    if state.disturbances:
        fixed = _notices(state) + fixed
    if len(rows) <= ROWS_VISIBLE:
        return screen, fixed + rows
    start = state.stack[-1].scroll if state.stack else 0
    return screen, (*fixed, _LIST, *rows[start : start + ROWS_VISIBLE])


def touchable(elements: tuple[Element, ...]) -> list[Element]:
    """The elements that have a number, in its order: the first is number 1."""
    return [element for element in elements if element.on_tap or element is _LIST]


def observe(screen: Screen, elements: tuple[Element, ...]) -> str:
    """AndroidLab's compressed XML: `[n] Class ;actions; status ;;text`, one element a line, children indented.

    Bounds are left out, and so are the number of what cannot be touched and the class of rows and plain text.
    """
    lines = [f";;{screen.title}"]
    number = 0
    for label, role, on_tap, on_hold, status, value in elements:
        if on_tap:
            number += 1
            text = label if value is None else f"{label}: {value}" if value else f"{label}:"
            does = "click,long-click" if on_hold else "click"
            head = f" [{number}] {role} ;{does};" if role else f" [{number}] ;{does};"
            lines.append(f"{head} {status} ;;{text}" if status else f"{head} ;;{text}")
        elif role:
            number += 1
            lines.append(f" [{number}] {role} ;scroll; ;;")
        else:
            lines.append(f" ;;{label}")
    return "\n".join(lines)


_STATUS_WORDS = {"checked": "on", "unchecked": "off", "selected": "chosen", "focused": "typing"}


def observe_tersely(screen: Screen, elements: tuple[Element, ...]) -> str:
    """The same in few tokens: `label [n] status`, one element a line; what has no number cannot be touched."""
    lines = [screen.title]
    number = 0
    for label, role, on_tap, _, status, value in elements:
        text = label if value is None else f"{label}: {value}" if value else f"{label}:"
        if on_tap or role:
            number += 1
            text = f"{text or 'list'} [{number}]"
        lines.append(f"{text} {_STATUS_WORDS[status]}" if status else text)
    return "\n".join(lines)


def transition(state: State, action: Action, elements: tuple[Element, ...]) -> State:
    """The phone after an action on what `visible` showed. What hits nothing changes nothing."""
    match action.name:
        case "home":
            return state.go()
        case "back":
            return _back(state)
        case "text":
            return _type(state, str(action.arguments[0]))
        case "tap" | "long_press" | "swipe":
            return _touch(state, action, touchable(elements))
        case "wait" if (blocked := blocking(state)) and blocked.kind == "slow":
            return state.without(blocked)
    return state


def _back(state: State) -> State:
    """As on a phone, the first press puts the keyboard away, the next leaves the screen; what was typed stays."""
    if typing(state):
        return state.on_top(state.stack[-1]._replace(focus=""))
    return state.leave() if state.stack else state


def _touch(state: State, action: Action, elements: list[Element]) -> State:
    index = int(action.arguments[0])
    if index > len(elements):
        return state
    element = elements[index - 1]
    if action.name == "swipe":
        return _scroll(state, str(action.arguments[1]), str(action.arguments[2])) if element is _LIST else state
    return _apply(state, element.on_tap if action.name == "tap" else element.on_hold)


def _apply(state: State, effect: Effect) -> State:
    if not effect:
        return state
    return COMMANDS[effect[0]](state, *effect[1:])


def _scroll(state: State, direction: str, dist: str) -> State:
    """As on a phone, the content follows the finger: `up` shows what comes later in the list."""
    sign = {"up": 1, "down": -1}.get(direction, 0)
    if not sign or not state.stack:
        return state
    place = state.stack[-1]
    last = len(screen_of(state).rows) - ROWS_VISIBLE
    return state.on_top(place._replace(scroll=max(0, min(last, place.scroll + sign * SCROLL_ROWS[dist]))))


def _type(state: State, text: str) -> State:
    """What is typed replaces what the focused field held, so that a wrong text is mended by typing again."""
    if not state.stack or not state.stack[-1].focus:
        return state
    return COMMANDS["put"](state, state.stack[-1].focus, text)


def _launcher(state: State) -> Screen:
    icons = tuple(Element(APPS[name].name, on_tap=("open", name)) for name in state.data["launcher"])
    return Screen("Home", icons, kind="home")


def _blocked(disturbance: Disturbance) -> Screen:
    name = APPS[disturbance.app].name
    if disturbance.kind == "slow":
        return Screen(name, (note("Loading..."),), kind="loading")
    answer = ("dismiss", "permission", disturbance.app)
    title = f"Allow {name} to use {disturbance.text}?"
    return Screen(title, (button("Allow", *answer), button("Do not allow", *answer)), kind="dialog")


def _notices(state: State) -> tuple[Element, ...]:
    """A notification lies over whatever is open, dialogs of the system excepted."""
    if blocking(state):
        return ()
    return tuple(
        element
        for one in state.disturbances
        if one.kind == "notification"
        for element in (
            row(f"{APPS[one.app].name}: {one.text}", "follow", one.app),
            button("Dismiss", "dismiss", "notification", one.app),
        )
    )

"""What touching an element can do in any app: open, leave, focus, fill, pick, toggle, choose, put notices away."""

from zoo.environments.phone.app import Command
from zoo.environments.phone.state import Place, State

__all__ = ["COMMANDS"]


def _open(state: State, screen: str, subject: str = "") -> State:
    if state.disturbances and not state.stack:
        return _resume(state, screen)
    return state.go(*state.stack, Place(screen, subject))


def _resume(state: State, app: str) -> State:
    """An app that was left open on an inner screen opens there, once."""
    left = next((one for one in state.disturbances if (one.kind, one.app) == ("resumed", app)), None)
    return state.without(left).go(*left.places) if left else state.go(Place(app))


def _dismiss(state: State, kind: str, app: str) -> State:
    """A notification is put away, a permission is answered."""
    return state.without(next(one for one in state.disturbances if (one.kind, one.app) == (kind, app)))


def _follow(state: State, app: str) -> State:
    """A notification opens its app."""
    return _dismiss(state, "notification", app).go(Place(app))


def _leave(state: State) -> State:
    return state.leave()


def _focus(state: State, name: str) -> State:
    return state.on_top(state.stack[-1]._replace(focus=name))


def _put(state: State, name: str, value: str) -> State:
    place = state.stack[-1]
    edits = tuple(edit for edit in place.edits if edit[0] != name)
    return state.on_top(place._replace(edits=(*edits, (name, value))))


def _pick(state: State, name: str, value: str) -> State:
    """A dialog over a form fills a field of the form."""
    return _put(state.leave(), name, value)


def _toggle(state: State, key: str) -> State:
    return state.store(**{key: not state.data[key]})


def _choose(state: State, key: str, value: str) -> State:
    return state.store(**{key: value}).leave()


COMMANDS: dict[str, Command] = {
    "open": _open,
    "leave": _leave,
    "focus": _focus,
    "put": _put,
    "pick": _pick,
    "dismiss": _dismiss,
    "follow": _follow,
    "toggle": _toggle,
    "choose": _choose,
}
"""Name of an effect -> `(state, *arguments) -> state`."""

"""What touching an element can do in any app: open, leave, focus, fill, toggle, choose."""

from zoo.environments.phone.state import Command, Place, State

__all__ = ["COMMANDS"]


def _open(state: State, screen: str, subject: str = "") -> State:
    return State(state.data, (*state.stack, Place(screen, subject)))


def _leave(state: State) -> State:
    return state.leave()


def _focus(state: State, name: str) -> State:
    return state.on_top(state.stack[-1]._replace(focus=name))


def _put(state: State, name: str, value: str) -> State:
    place = state.stack[-1]
    edits = tuple(edit for edit in place.edits if edit[0] != name)
    return state.on_top(place._replace(edits=(*edits, (name, value))))


def _toggle(state: State, key: str) -> State:
    return state.store(**{key: not state.data[key]})


def _choose(state: State, key: str, value: str) -> State:
    return state.store(**{key: value}).leave()


COMMANDS: dict[str, Command] = {
    "open": _open,
    "leave": _leave,
    "focus": _focus,
    "put": _put,
    "toggle": _toggle,
    "choose": _choose,
}
"""Name of an effect -> `(state, *arguments) -> state`."""

"""The phone as plain values: what it stores, and which screens are open.

Everything but `State.data` is an immutable tuple, and `data` is replaced, never written to, so a copy of a state is the
state itself. Not covered: time that passes.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

__all__ = ["Data", "Disturbance", "Place", "State"]

Data = Mapping[str, Any]
"""Everything that the phone remembers: `settings.wifi`, `alarms`, `contacts`, ... to immutable values."""


class Place(NamedTuple):
    """One open screen. The first two say which it is; the rest is what leaving it forgets."""

    screen: str
    """`app` or `app/screen`, see the `screens` of the apps."""
    subject: str = ""
    """What it shows: a name, a time, a key of `data`."""
    scroll: int = 0
    """Rows above the visible part of its list."""
    focus: str = ""
    """The field that typing goes to."""
    edits: tuple[tuple[str, str], ...] = ()
    """Field -> what was put in and not yet saved."""

    def edit(self, name: str, default: str = "") -> str:
        """What a field holds."""
        return next((value for key, value in self.edits if key == name), default)


class Disturbance(NamedTuple):
    """Something that comes between the agent and its task, and is over once it is dealt with."""

    kind: Literal["notification", "permission", "slow", "resumed"]
    app: str
    """Name of the app that notifies, asks for a permission, loads slowly, or was left open on an inner screen."""
    text: str = ""
    """What a notification says, or what a permission is for."""
    places: tuple[Place, ...] = ()
    """`resumed`: the screens that the app opens with."""


class State(NamedTuple):
    """The whole phone. `stack` holds the open screens, the visible one last; the launcher is an empty stack."""

    data: Data
    stack: tuple[Place, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()
    """Those that are not over. They are no part of what the phone stores."""

    def store(self, **values: Any) -> "State":
        """The same screens over changed data."""
        return State({**self.data, **values}, self.stack, self.disturbances)

    def on_top(self, place: Place) -> "State":
        """The same phone with the visible screen replaced."""
        return State(self.data, (*self.stack[:-1], place), self.disturbances)

    def leave(self, screens: int = 1) -> "State":
        """The same phone with so many screens closed."""
        return State(self.data, self.stack[: len(self.stack) - screens], self.disturbances)

    def go(self, *stack: Place) -> "State":
        """The same phone with these screens open instead."""
        return State(self.data, stack, self.disturbances)

    def without(self, disturbance: Disturbance) -> "State":
        """The same phone, not disturbed by this any more."""
        return State(self.data, self.stack, tuple(one for one in self.disturbances if one is not disturbance))

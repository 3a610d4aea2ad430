"""The phone as plain values: what it stores, which screen is open, and what a screen is made of.

Everything but `State.data` is an immutable tuple, and `data` is replaced, never written to, so a copy of a state is the
state itself. Screens are described by data: an app is a table of functions from state to `Screen`, an element carries
its effect as a tuple, and effects are looked up in one table. Not covered: time that passes, gestures other than
scrolling. Typing replaces what a field holds: the keyboard is drawn and takes no taps of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

__all__ = [
    "ROWS_VISIBLE",
    "App",
    "Command",
    "Data",
    "Disturbance",
    "Effect",
    "Element",
    "Place",
    "Screen",
    "ScreenKind",
    "State",
    "Want",
    "button",
    "dialog",
    "field",
    "note",
    "row",
    "switch",
]

Data = Mapping[str, Any]
"""Everything that the phone remembers: `settings.wifi`, `alarms`, `contacts`, ... to immutable values."""
Effect = tuple[str, ...]
"""What touching an element does: the name of a command and its arguments."""

ROWS_VISIBLE = 6
"""Rows of a list that fit on a screen; what stands above the list does not scroll."""


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


class Element(NamedTuple):
    """One line of a screen. Numbered when it can be touched."""

    label: str
    role: str = ""
    """Android's class; blank for rows and text, which AndroidLab's compression blanks too."""
    on_tap: Effect = ()
    on_hold: Effect = ()
    status: str = ""
    """`checked`, `unchecked`, `selected`, `focused` or nothing."""
    value: str | None = None
    """What a text field holds; None for everything else."""


ScreenKind = Literal["page", "home", "dialog", "loading"]


class Screen(NamedTuple):
    """What one place shows: a title, elements that stay, then a list that scrolls when it is long."""

    title: str
    fixed: tuple[Element, ...] = ()
    rows: tuple[Element, ...] = ()
    kind: ScreenKind = "page"
    """How it is drawn; the text does not say it."""


class Want(NamedTuple):
    """One thing that an app still has to be made to do: be somewhere, with fields filled, and touch something."""

    places: tuple[tuple[str, str], ...]
    """The way there from the launcher: (screen, subject) of each screen that is opened."""
    effect: Effect
    """Of the element to touch there; empty when being there is enough."""
    fields: tuple[tuple[str, str], ...] = ()
    """Field -> what it must hold before."""
    label: str = ""
    """A row that must be on the display: one that is only looked at."""


Command = Callable[..., State]


class App(NamedTuple):
    """One app, as tables."""

    name: str
    screens: Mapping[str, Callable[[Data, Place], Screen]]
    """Name of a screen -> what it shows."""
    commands: Mapping[str, Command]
    """Name of an effect -> `(state, *arguments) -> state`."""
    repair: Callable[[Data, Data], list[Want]]
    """(what is, what should be) -> everything to do about it, in any order. Differences that cannot be mended
    (a message that was sent) yield nothing."""


def row(label: str, *effect: str, hold: Effect = (), status: str = "") -> Element:
    """A row of a list that opens or picks something."""
    return Element(label, on_tap=effect, on_hold=hold, status=status)


def note(label: str) -> Element:
    """Text that can only be read."""
    return Element(label)


def button(label: str, *effect: str) -> Element:
    """A button."""
    return Element(label, "Button", effect)


def switch(label: str, on: bool, *effect: str, hold: Effect = ()) -> Element:
    """A row that is on or off."""
    return Element(label, "Switch", effect, hold, "checked" if on else "unchecked")


def field(place: Place, name: str, label: str, default: str = "") -> Element:
    """A text field, holding what was typed into it, else what is stored."""
    status = "focused" if place.focus == name else ""
    return Element(label, "EditText", ("focus", name), status=status, value=place.edit(name, default))


def dialog(title: str, yes: str, *effect: str) -> Screen:
    """A question with a button that does it and one that does not."""
    return Screen(title, (button(yes, *effect), button("Cancel", "leave")), kind="dialog")

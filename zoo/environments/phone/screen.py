"""What a place shows, as data: a title and elements, each of which carries its effect as a tuple.

Effects are looked up in one table, the apps' commands. Not covered: gestures other than scrolling. Typing replaces what
a field holds: the keyboard is drawn and takes no taps of its own.
"""

from typing import Literal, NamedTuple

from zoo.environments.phone.state import Place

__all__ = [
    "ROWS_VISIBLE",
    "Effect",
    "Element",
    "Screen",
    "ScreenKind",
    "button",
    "dialog",
    "field",
    "note",
    "row",
    "switch",
]

Effect = tuple[str, ...]
"""What touching an element does: the name of a command and its arguments."""

ROWS_VISIBLE = 6
"""Rows of a list that fit on a screen; what stands above the list does not scroll."""


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

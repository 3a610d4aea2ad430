"""An app as tables: place to screen, effect to what it does, and what has to be done until something is so."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from zoo.environments.phone.screen import Effect, Screen
from zoo.environments.phone.state import Data, Place, State

__all__ = ["App", "Command", "Want"]


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

"""The page of an app's own settings: switches and choices, as data."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NamedTuple

from zoo.environments.phone.app import Want
from zoo.environments.phone.screen import Element, Screen, row, switch
from zoo.environments.phone.state import Data, Place

__all__ = ["Preference", "Preferences", "draw", "entry", "repair", "screens"]


class Preference(NamedTuple):
    """One setting of an app."""

    key: str
    """Of `data`: `calendar.first_day`."""
    label: str
    options: tuple[str, ...] = ()
    """None for what is on or off."""


class Preferences(NamedTuple):
    """A page of settings."""

    screen: str
    """`calendar/settings`; a choice opens `calendar/settings/choice`."""
    title: str
    items: tuple[Preference, ...]

    @property
    def way(self) -> tuple[tuple[str, str], ...]:
        """The screens from the launcher to the page."""
        return ((self.screen.partition("/")[0], ""), (self.screen, ""))


def entry(page: Preferences) -> Element:
    """The row of the app's root that opens the page."""
    return row(page.title, "open", page.screen)


def screens(page: Preferences) -> dict[str, Callable[[Data, Place], Screen]]:
    """The page, and the dialog of its choices where it has any."""
    own: dict[str, Callable[[Data, Place], Screen]] = {page.screen: partial(_page, page)}
    if any(one.options for one in page.items):
        own[f"{page.screen}/choice"] = partial(_choice, page)
    return own


def repair(page: Preferences, data: Data, goal: Data) -> list[Want]:
    """A touch for each switch, a pick for each choice that is not as it should be."""
    return [_want(page, one, goal[one.key]) for one in page.items if data[one.key] != goal[one.key]]


def draw(page: Preferences, rng: Random) -> dict[str, Any]:
    """Each setting by chance."""
    return {one.key: rng.choice(one.options) if one.options else rng.random() < 0.5 for one in page.items}


def _want(page: Preferences, one: Preference, value: str | bool) -> Want:
    if one.options:
        return Want((*page.way, (f"{page.screen}/choice", one.key)), ("choose", one.key, str(value)))
    return Want(page.way, ("toggle", one.key))


def _page(page: Preferences, data: Data, place: Place) -> Screen:
    return Screen(page.title, tuple(_line(page, one, data[one.key]) for one in page.items))


def _line(page: Preferences, one: Preference, value: str | bool) -> Element:
    if one.options:
        return row(f"{one.label}: {value}", "open", f"{page.screen}/choice", one.key)
    return switch(one.label, bool(value), "toggle", one.key)


def _choice(page: Preferences, data: Data, place: Place) -> Screen:
    item = next(one for one in page.items if one.key == place.subject)
    picked = data[item.key]
    options = tuple(
        Element(value, "RadioButton", ("choose", item.key, value), status="checked" if value == picked else "")
        for value in item.options
    )
    return Screen(item.label, options, kind="dialog")

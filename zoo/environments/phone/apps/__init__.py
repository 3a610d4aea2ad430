"""The apps of the phone, as tables: which screens there are and which commands."""

from collections.abc import Callable, Mapping

from zoo.environments.phone.app import App, Command
from zoo.environments.phone.apps import (
    calendar,
    clock,
    contacts,
    finance,
    maps,
    meetings,
    messages,
    music,
    reader,
    settings,
)
from zoo.environments.phone.commands import COMMANDS as COMMON
from zoo.environments.phone.screen import Screen
from zoo.environments.phone.state import Data, Place

__all__ = ["APPS", "COMMANDS", "SCREENS"]

APPS: Mapping[str, App] = {
    "settings": settings.APP,
    "clock": clock.APP,
    "contacts": contacts.APP,
    "messages": messages.APP,
    "calendar": calendar.APP,
    "finance": finance.APP,
    "maps": maps.APP,
    "music": music.APP,
    "reader": reader.APP,
    "meetings": meetings.APP,
}
"""Name of the root screen -> the app. Which of them a phone has, its launcher says."""

SCREENS: Mapping[str, Callable[[Data, Place], Screen]] = {
    name: draw for app in APPS.values() for name, draw in app.screens.items()
}
COMMANDS: Mapping[str, Command] = COMMON | {name: do for app in APPS.values() for name, do in app.commands.items()}

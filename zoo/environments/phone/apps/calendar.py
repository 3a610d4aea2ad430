"""The Calendar app: the events of a week, day by day."""

from random import Random
from typing import NamedTuple

from zoo.environments.phone import collection, preferences
from zoo.environments.phone.app import App, Want
from zoo.environments.phone.collection import Attribute, Collection
from zoo.environments.phone.preferences import Preference, Preferences
from zoo.environments.phone.screen import Screen, row
from zoo.environments.phone.state import Data, Place
from zoo.environments.phone.values import ALARM_TIMES, DAYS, SPOTS

__all__ = ["APP", "EVENTS", "PAGE", "REPEATS", "Event", "day_line"]

REPEATS = ("Never", "Daily", "Weekly", "Monthly")

PAGE = Preferences(
    "calendar/settings",
    "Calendar settings",
    (
        Preference("calendar.first_day", "First day", ("Monday", "Saturday", "Sunday")),
        Preference("calendar.alert", "Default alert", ("None", "5 min", "15 min", "30 min", "1 hour")),
        Preference("calendar.week_numbers", "Week numbers"),
        Preference("calendar.declined", "Declined events"),
    ),
)


class Event(NamedTuple):
    """One event of the week; titles are unique."""

    title: str
    day: str = DAYS[0]
    time: str = ""
    place: str = ""
    repeat: str = REPEATS[0]
    reminder: bool = False


def _draw(rng: Random, title: str) -> Event:
    kind = rng.choice(list(SPOTS))
    return Event(title, rng.choice(DAYS), rng.choice(ALARM_TIMES), rng.choice(SPOTS[kind]), reminder=rng.random() < 0.5)


EVENTS = Collection(
    "events",
    "calendar/event",
    "event",
    Event,
    (
        Attribute("title", "Title"),
        Attribute("day", "Day", "choice", DAYS),
        Attribute("time", "Time", pattern="([01][0-9]|2[0-3]):[0-5][0-9]"),
        Attribute("place", "Place", pattern=".*"),
        Attribute("repeat", "Repeat", "choice", REPEATS),
        Attribute("reminder", "Reminder", "switch"),
    ),
    _draw,
    way=lambda event: (("calendar", ""), ("calendar/day", event.day)),
    line=lambda event: f"{event.time} {event.title}",
    add_way=(("calendar", ""),),
)


def day_line(data: Data, day: str) -> str:
    """A day as the week shows it."""
    count = sum(event.day == day for event in data["events"])
    return f"{day}: {count or 'no'} event{'' if count == 1 else 's'}"


def _root(data: Data, place: Place) -> Screen:
    days = tuple(row(day_line(data, day), "open", "calendar/day", day) for day in DAYS)
    return Screen("Calendar", (collection.add_button(EVENTS), preferences.entry(PAGE)), days)


def _day(data: Data, place: Place) -> Screen:
    events = sorted((event for event in data["events"] if event.day == place.subject), key=lambda event: event.time)
    return Screen(place.subject, rows=collection.rows(EVENTS, tuple(events)))


def _repair(data: Data, goal: Data) -> list[Want]:
    return [*collection.repair(EVENTS, data, goal), *preferences.repair(PAGE, data, goal)]


APP = App(
    "Calendar",
    {"calendar": _root, "calendar/day": _day, **collection.screens(EVENTS), **preferences.screens(PAGE)},
    collection.commands(EVENTS),
    _repair,
)

"""The content of a phone that a seed draws: everything that a task's parameters leave open."""

from collections.abc import Sequence
from random import Random
from typing import Any

from zoo.environments.phone import preferences, values
from zoo.environments.phone.apps import APPS, calendar, finance, maps, meetings, music, reader
from zoo.environments.phone.apps.clock import CITIES, Alarm
from zoo.environments.phone.apps.contacts import Contact
from zoo.environments.phone.apps.messages import Message, Thread
from zoo.environments.phone.apps.settings import CHOICES, SWITCHES
from zoo.environments.phone.collection import Collection

__all__ = ["FOUR_APPS", "draw_contact", "draw_phone", "draw_ten_app_phone"]

FOUR_APPS = ("settings", "clock", "contacts", "messages")
"""What the smaller phone has."""


def draw_phone(seed: int) -> dict[str, Any]:
    """The data of one phone with four apps. Same seed, same phone."""
    rng = Random(seed)
    contacts = _contacts(rng)
    return {
        "launcher": tuple(rng.sample(FOUR_APPS, len(FOUR_APPS))),
        **_settings(rng),
        "now": f"{rng.randrange(24):02}:{rng.randrange(60):02}",
        "alarms": _alarms(rng),
        "timer": "",
        "cities": tuple(sorted(rng.sample(list(CITIES), rng.randint(1, 3)))),
        "contacts": contacts,
        "threads": _threads(rng, contacts),
    }


def draw_ten_app_phone(seed: int) -> dict[str, Any]:
    """The data of one phone with all apps. Same seed, same phone."""
    rng = Random(f"ten {seed}")
    drawn = draw_phone(seed)
    for app in (calendar, finance, maps, meetings, music, reader):
        drawn |= preferences.draw(app.PAGE, rng)
    drawn |= {
        "events": _records(rng, calendar.EVENTS, values.EVENTS, 3, 7),
        "transactions": _records(rng, finance.TRANSACTIONS, values.TRANSACTIONS, 3, 8),
        "budgets": _records(rng, finance.BUDGETS, finance.CATEGORIES, 6, 6),
        "accounts": tuple((name, f"{rng.randrange(200, 4000)}.{rng.randrange(100):02}") for name in finance.ACCOUNTS),
        "spots": maps.draw_spots(rng),
        "songs": _records(rng, music.SONGS, values.SONGS, 12, 12),
        "playlists": _records(rng, music.PLAYLISTS, values.PLAYLISTS, 2, 5),
        "books": _records(rng, reader.BOOKS, values.BOOKS, 3, 8),
        "meetings": _records(rng, meetings.MEETINGS, values.TOPICS, 2, 5),
    }
    drawn |= {"maps.destination": "", "maps.mode": "", "music.playing": "", "music.paused": False}
    drawn |= {"meetings.joined": "", "meetings.hand": False, "meetings.microphone": True, "meetings.camera": True}
    saved = tuple(sorted(spot.name for spot in rng.sample(drawn["spots"], rng.randint(1, 4))))
    return {**drawn, "saved": saved, "launcher": tuple(rng.sample(list(APPS), len(APPS)))}


def _records(rng: Random, collection: Collection, names: Sequence[str], least: int, most: int) -> tuple[Any, ...]:
    chosen = rng.sample(list(names), rng.randint(least, most))
    return tuple(sorted(collection.draw(rng, name) for name in chosen))


def _settings(rng: Random) -> dict[str, Any]:
    drawn: dict[str, Any] = {name: rng.random() < 0.5 for name in SWITCHES}
    drawn |= {name: rng.choice(options) for name, (_, options) in CHOICES.items()}
    drawn["battery_level"] = rng.choice(values.BATTERY_LEVELS)
    drawn["android_version"] = str(rng.randint(12, 16))
    drawn["free_storage"] = rng.choice(values.STORAGES)
    drawn["device_name"] = "Pixel"
    return {f"settings.{name}": value for name, value in drawn.items()}


def _alarms(rng: Random) -> tuple[Alarm, ...]:
    count = rng.randint(1, 4)
    times, labels = rng.sample(values.ALARM_TIMES, count), rng.sample(values.ALARM_LABELS, count)
    alarms = (Alarm(time, label, rng.random() < 0.5) for time, label in zip(times, labels, strict=True))
    return tuple(sorted(alarms))


def _contacts(rng: Random) -> tuple[Contact, ...]:
    names = sorted(rng.sample(values.NAMES, rng.randint(4, 9)))
    return tuple(draw_contact(rng, name) for name in names)


def draw_contact(rng: Random, name: str) -> Contact:
    """Somebody of that name, with a number that no task names."""
    host = rng.choice(("mail", "post", "inbox"))
    phone = f"555-0{rng.randint(2, 9)}{rng.randrange(100):02}"
    return Contact(name, phone, f"{name.lower()}{rng.randrange(10, 100)}@{host}.org", rng.random() < 0.3)


def _threads(rng: Random, contacts: tuple[Contact, ...]) -> tuple[Thread, ...]:
    people = sorted(contact.name for contact in rng.sample(contacts, rng.randint(2, 4)))
    return tuple(Thread(person, _messages(rng), rng.random() < 0.3) for person in people)


def _messages(rng: Random) -> tuple[Message, ...]:
    texts = rng.sample(values.TEXTS, rng.randint(1, 2))
    return tuple(Message(text, rng.random() < 0.4) for text in texts)

"""Tasks that lead through two apps, or through one twice, without a fact to carry."""

from zoo.environments.phone.apps.calendar import EVENTS
from zoo.environments.phone.apps.clock import TIMERS, Alarm, with_alarm, without_alarm
from zoo.environments.phone.apps.contacts import Contact, with_contact, without_contact
from zoo.environments.phone.apps.messages import sent, without_thread
from zoo.environments.phone.apps.settings import SWITCHES
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.calendar import TITLE
from zoo.environments.phone.tasks.maps import SPOT, trip
from zoo.environments.phone.tasks.music import SONG, playing
from zoo.environments.phone.tasks.records import gone, made, together
from zoo.environments.phone.tasks.template import Changes, Pool, Template, Values, pool
from zoo.environments.phone.values import ALARM_TIMES, NAMES, PHONES, TEXTS

__all__ = ["TEMPLATES"]

_SWITCHES = tuple(SWITCHES)
_THREE = Pool(
    ("first", "second", "third"),
    tuple(zip(_SWITCHES, (*_SWITCHES[4:], *_SWITCHES[:4]), (*_SWITCHES[9:], *_SWITCHES[:9]), strict=True)),
)
_TWO_TIMES = Pool(("time", "later"), tuple(zip(ALARM_TIMES[:-3], ALARM_TIMES[3:], strict=True)))
_PERSON = Pool(("name", "phone"), tuple(zip(NAMES[:8], PHONES, strict=False)))
"""Of the first letters: the way to them needs no scrolling, and has 15 steps as it is."""


def _labelled(values: Values) -> Values:
    return {name: SWITCHES.get(value, value) for name, value in values.items()}


def _no_person(data: Data, values: Values) -> Changes:
    contacts, threads = data["contacts"], data["threads"]
    return {
        "contacts": without_contact(contacts, values["name"]),
        "threads": without_thread(threads, values["name"]),
    }


def _person_written_to(data: Data, values: Values) -> Changes:
    contacts = with_contact(data["contacts"], Contact(values["name"], values["phone"]))
    return {"contacts": contacts, "threads": sent(data["threads"], values["name"], values["text"])}


def _no_alarms(data: Data, values: Values) -> Changes:
    alarms = without_alarm(data["alarms"], values["time"])
    return {"alarms": without_alarm(alarms, values.get("later", ""))}


def _alarm(data: Data, values: Values) -> Changes:
    return {"alarms": with_alarm(data["alarms"], Alarm(values["time"], ""))}


def _set(name: str, on: bool) -> Changes:
    return {f"settings.{name}": on}


TEMPLATES = (
    Template(
        "settings.switch_three",
        "operation",
        ("Turn on {first}, {second} and {third}.", "Switch {first}, {second} and {third} on."),
        (_THREE,),
        prepare=lambda data, values: {f"settings.{name}": False for name in values.values()},
        change=lambda data, values: {f"settings.{name}": True for name in values.values()},
        show=_labelled,
    ),
    Template(
        "clock.two_alarms",
        "operation",
        ("Set alarms for {time} and {later}.", "Add two alarms, at {time} and at {later}."),
        (_TWO_TIMES,),
        prepare=_no_alarms,
        change=lambda data, values: {
            "alarms": with_alarm(with_alarm(data["alarms"], Alarm(values["time"], "")), Alarm(values["later"], ""))
        },
        held_out=True,
    ),
    Template(
        "clock.quiet_timer",
        "operation",
        ("Turn on Do not disturb and start a timer for {length}.", "Start a {length} timer, Do not disturb on."),
        (pool("length", TIMERS),),
        prepare=lambda data, values: _set("do_not_disturb", False),
        change=lambda data, values: {**_set("do_not_disturb", True), "timer": values["length"]},
    ),
    Template(
        "music.play_on_speaker",
        "operation",
        ("Turn on Bluetooth and play {title}.", "Play {title} with Bluetooth on."),
        (SONG,),
        prepare=lambda data, values: _set("bluetooth", False),
        change=lambda data, values: {**_set("bluetooth", True), **playing(values["title"])},
    ),
    Template(
        "maps.navigate_with_location",
        "operation",
        ("Turn on Location and drive to {spot}.", "Navigate to {spot} by car, with Location turned on."),
        (SPOT,),
        prepare=lambda data, values: _set("location", False),
        change=lambda data, values: {**_set("location", True), **trip(values["spot"])},
        held_out=True,
    ),
    Template(
        "messages.greet",
        "operation",
        (
            'Add {name}, number {phone}, to the contacts and send them "{text}".',
            'Save {name} with the number {phone}, then write "{text}" to {name}.',
        ),
        (_PERSON, pool("text", TEXTS)),
        prepare=_no_person,
        change=_person_written_to,
    ),
    Template(
        "calendar.add_and_wake",
        "operation",
        (
            "Add {title} on Monday at {time} to the calendar and set an alarm for {time}.",
            "Plan {title} on Monday at {time} in the calendar, with an alarm at {time}.",
        ),
        (TITLE, pool("time", ALARM_TIMES)),
        prepare=together(gone(EVENTS), _no_alarms),
        change=together(made(EVENTS, time="{time}"), _alarm),
    ),
)

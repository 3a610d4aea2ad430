"""The Meetings app: planned calls, a preview with microphone and camera, and the call itself."""

from random import Random
from typing import NamedTuple

from zoo.environments.phone import collection, preferences
from zoo.environments.phone.app import App, Want
from zoo.environments.phone.collection import Attribute, Collection
from zoo.environments.phone.preferences import Preference, Preferences
from zoo.environments.phone.screen import Element, Screen, button, note, row, switch
from zoo.environments.phone.state import Data, Place, State
from zoo.environments.phone.values import ALARM_TIMES, DAYS, NAMES, PASSCODES

__all__ = ["APP", "MEETINGS", "PAGE", "Meeting"]

PAGE = Preferences(
    "meetings/settings",
    "Meeting settings",
    (
        Preference("meetings.background", "Background", ("None", "Blur", "Office", "Beach")),
        Preference("meetings.layout", "Layout", ("Auto", "Grid", "Speaker")),
        Preference("meetings.captions", "Captions"),
        Preference("meetings.mirror", "Mirror video"),
    ),
)
_DEVICES = (("microphone", "Microphone"), ("camera", "Camera"))


class Meeting(NamedTuple):
    """One planned call; topics are unique."""

    topic: str
    day: str = DAYS[0]
    time: str = ""
    passcode: str = ""
    host: str = "You"
    waiting_room: bool = False


def _draw(rng: Random, topic: str) -> Meeting:
    host, code = rng.choice(NAMES), rng.choice(PASSCODES)
    return Meeting(topic, rng.choice(DAYS), rng.choice(ALARM_TIMES), code, host, rng.random() < 0.5)


def _join_button(data: Data, meeting: Meeting) -> tuple[Element, ...]:
    return (button("Join", "open", "meetings/preview", meeting.topic),)


MEETINGS = Collection(
    "meetings",
    "meetings/meeting",
    "meeting",
    Meeting,
    (
        Attribute("topic", "Topic"),
        Attribute("host", "Host", "fact"),
        Attribute("day", "Day", "choice", DAYS),
        Attribute("time", "Time", pattern="([01][0-9]|2[0-3]):[0-5][0-9]"),
        Attribute("passcode", "Passcode", pattern="[0-9]{4}|"),
        Attribute("waiting_room", "Waiting room", "switch"),
    ),
    _draw,
    way=lambda meeting: (("meetings", ""),),
    line=lambda meeting: f"{meeting.topic}: {meeting.day} {meeting.time}",
    add_way=(("meetings", ""),),
    buttons=_join_button,
)


def _devices(data: Data) -> tuple[Element, ...]:
    return tuple(switch(label, data[f"meetings.{name}"], "toggle", f"meetings.{name}") for name, label in _DEVICES)


def _root(data: Data, place: Place) -> Screen:
    joined = data["meetings.joined"]
    call = (row(f"In a call: {joined}", "open", "meetings/call"),) if joined else ()
    top = (*call, collection.add_button(MEETINGS), preferences.entry(PAGE))
    return Screen("Meetings", top, collection.rows(MEETINGS, data["meetings"]))


def _preview(data: Data, place: Place) -> Screen:
    return Screen(f"Join {place.subject}", (*_devices(data), button("Join now", "meetings.join", place.subject)))


def _call(data: Data, place: Place) -> Screen:
    hand = switch("Raise hand", data["meetings.hand"], "toggle", "meetings.hand")
    shown = data["meetings.joined"]
    if not shown:
        return Screen("The call has ended")
    return Screen("Call", (note(shown), *_devices(data), hand, button("Leave", "meetings.leave")))


def _join(state: State, topic: str) -> State:
    """The call opens."""
    joined = state.store(**{"meetings.joined": topic, "meetings.hand": False})
    return joined.go(Place("meetings"), Place("meetings/call"))


def _leave(state: State) -> State:
    return state.store(**{"meetings.joined": "", "meetings.hand": False}).leave()


def _repair(data: Data, goal: Data) -> list[Want]:
    return [
        *collection.repair(MEETINGS, data, goal),
        *_repair_call(data, goal),
        *preferences.repair(PAGE, data, goal),
    ]


def _repair_call(data: Data, goal: Data) -> list[Want]:
    """Microphone and camera are set where the call is joined, or in the call."""
    have, need = data["meetings.joined"], goal["meetings.joined"]
    call = (("meetings", ""), ("meetings/call", ""))
    topic = need or (data["meetings"][0].topic if data["meetings"] else "")
    preview = (("meetings", ""), ("meetings/meeting", topic), ("meetings/preview", topic))
    place = call if have and have == need else preview
    keys = [f"meetings.{name}" for name, _ in _DEVICES]
    wants = [Want(place, ("toggle", key)) for key in keys if data[key] != goal[key]]
    if have != need:
        wants.append(Want(place, ("meetings.join", need)) if need else Want(call, ("meetings.leave",)))
    elif data["meetings.hand"] != goal["meetings.hand"]:
        wants.append(Want(call, ("toggle", "meetings.hand")))
    return wants


APP = App(
    "Meetings",
    {
        "meetings": _root,
        "meetings/preview": _preview,
        "meetings/call": _call,
        **collection.screens(MEETINGS),
        **preferences.screens(PAGE),
    },
    {**collection.commands(MEETINGS), "meetings.join": _join, "meetings.leave": _leave},
    _repair,
)

"""The Clock app: alarms, a timer, and the time in other cities."""

import re
from types import MappingProxyType
from typing import NamedTuple

from zoo.environments.phone.app import App, Want
from zoo.environments.phone.screen import Screen, button, dialog, field, note, row, switch
from zoo.environments.phone.state import Data, Place, State

__all__ = ["APP", "CITIES", "TIMERS", "Alarm", "local_time", "with_alarm", "without_alarm"]

TIMERS = ("1 min", "3 min", "5 min", "10 min", "15 min", "30 min")
"""The lengths that the timer offers."""

CITIES = MappingProxyType(
    {"Berlin": 1, "Cairo": 2, "Delhi": 5, "Lima": -5, "Nairobi": 3, "Oslo": 1, "Seoul": 9, "Sydney": 10, "Tokyo": 9}
)
"""City -> hours ahead of the phone's own clock. Whole hours, no summer time."""

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9]")


class Alarm(NamedTuple):
    """One alarm; `time` is HH:MM and there is one alarm a time."""

    time: str
    label: str
    on: bool = True


def with_alarm(alarms: tuple[Alarm, ...], alarm: Alarm) -> tuple[Alarm, ...]:
    """The alarms, sorted by time, with this one in the place of another at its time."""
    return tuple(sorted((*without_alarm(alarms, alarm.time), alarm)))


def without_alarm(alarms: tuple[Alarm, ...], time: str) -> tuple[Alarm, ...]:
    """The alarms but the one at this time."""
    return tuple(alarm for alarm in alarms if alarm.time != time)


def _root(data: Data, place: Place) -> Screen:
    pages = (("Alarms", "clock/alarms"), ("Timer", "clock/timer"), ("World clock", "clock/cities"))
    return Screen("Clock", tuple(row(title, "open", screen) for title, screen in pages))


def _alarms(data: Data, place: Place) -> Screen:
    rows = tuple(
        switch(
            f"{alarm.time} {alarm.label}".strip(),
            alarm.on,
            "clock.toggle",
            alarm.time,
            hold=("open", "clock/delete", alarm.time),
        )
        for alarm in data["alarms"]
    )
    return Screen("Alarms", (button("Add alarm", "open", "clock/new"),), rows)


def _new(data: Data, place: Place) -> Screen:
    return Screen(
        "New alarm", (field(place, "time", "Time"), field(place, "label", "Label"), button("Save", "clock.save"))
    )


def _delete(data: Data, place: Place) -> Screen:
    return dialog(f"Alarm {place.subject}", "Delete", "clock.delete", place.subject)


def _timer(data: Data, place: Place) -> Screen:
    if data["timer"]:
        return Screen("Timer", (note(f"Running: {data['timer']}"), button("Stop", "clock.stop")))
    picked = place.edit("length")
    lengths = tuple(
        row(length, "put", "length", length, status="selected" if length == picked else "") for length in TIMERS
    )
    return Screen("Timer", (*lengths, button("Start", "clock.start")))


def _cities(data: Data, place: Place) -> Screen:
    rows = tuple(
        row(f"{city} {local_time(data['now'], city)}", "open", "clock/remove", city) for city in data["cities"]
    )
    return Screen("World clock", (button("Add city", "open", "clock/add-city"),), rows)


def _add_city(data: Data, place: Place) -> Screen:
    return Screen("Add city", rows=tuple(row(city, "clock.add_city", city) for city in CITIES))


def _remove(data: Data, place: Place) -> Screen:
    return dialog(place.subject, "Remove", "clock.remove_city", place.subject)


def local_time(now: str, city: str) -> str:
    """HH:MM there when it is `now` (HH:MM) here."""
    hour, minute = now.split(":")
    return f"{(int(hour) + CITIES[city]) % 24:02}:{minute}"


def _save(state: State) -> State:
    """A time that is none is refused: the form stays."""
    place = state.stack[-1]
    time = place.edit("time").strip()
    if not _TIME.fullmatch(time):
        return state
    alarm = Alarm(time.zfill(5), place.edit("label").strip())
    return state.store(alarms=with_alarm(state.data["alarms"], alarm)).leave()


def _toggle(state: State, time: str) -> State:
    alarms = (alarm._replace(on=not alarm.on) if alarm.time == time else alarm for alarm in state.data["alarms"])
    return state.store(alarms=tuple(alarms))


def _delete_alarm(state: State, time: str) -> State:
    return state.store(alarms=without_alarm(state.data["alarms"], time)).leave()


def _start(state: State) -> State:
    length = state.stack[-1].edit("length")
    return state.store(timer=length).on_top(Place("clock/timer")) if length else state


def _stop(state: State) -> State:
    return state.store(timer="")


def _add(state: State, city: str) -> State:
    return state.store(cities=tuple(sorted({*state.data["cities"], city}))).leave()


def _remove_city(state: State, city: str) -> State:
    return state.store(cities=tuple(name for name in state.data["cities"] if name != city)).leave()


_ALARMS = (("clock", ""), ("clock/alarms", ""))
_CITIES = (("clock", ""), ("clock/cities", ""))


def _repair(data: Data, goal: Data) -> list[Want]:
    return [*_repair_alarms(data["alarms"], goal["alarms"]), *_repair_timer(data, goal), *_repair_cities(data, goal)]


def _repair_alarms(alarms: tuple[Alarm, ...], goals: tuple[Alarm, ...]) -> list[Want]:
    have, need = ({alarm.time: alarm for alarm in group} for group in (alarms, goals))
    wants = [Want((*_ALARMS, ("clock/delete", time)), ("clock.delete", time)) for time in have if time not in need]
    for time, alarm in need.items():
        if time not in have or have[time].label != alarm.label:
            fields = (("time", time), ("label", alarm.label))
            wants.append(Want((*_ALARMS, ("clock/new", "")), ("clock.save",), fields))
        elif have[time].on != alarm.on:
            wants.append(Want(_ALARMS, ("clock.toggle", time)))
    return wants


def _repair_timer(data: Data, goal: Data) -> list[Want]:
    timer = (("clock", ""), ("clock/timer", ""))
    if data["timer"] == goal["timer"]:
        return []
    if data["timer"]:
        return [Want(timer, ("clock.stop",))]
    return [Want(timer, ("clock.start",), (("length", goal["timer"]),))]


def _repair_cities(data: Data, goal: Data) -> list[Want]:
    have, need = data["cities"], goal["cities"]
    wants = [Want((*_CITIES, ("clock/add-city", "")), ("clock.add_city", city)) for city in need if city not in have]
    return wants + [
        Want((*_CITIES, ("clock/remove", city)), ("clock.remove_city", city)) for city in have if city not in need
    ]


APP = App(
    "Clock",
    {
        "clock": _root,
        "clock/alarms": _alarms,
        "clock/new": _new,
        "clock/delete": _delete,
        "clock/timer": _timer,
        "clock/cities": _cities,
        "clock/add-city": _add_city,
        "clock/remove": _remove,
    },
    {
        "clock.save": _save,
        "clock.toggle": _toggle,
        "clock.delete": _delete_alarm,
        "clock.start": _start,
        "clock.stop": _stop,
        "clock.add_city": _add,
        "clock.remove_city": _remove_city,
    },
    _repair,
)

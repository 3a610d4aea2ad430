"""Tasks in Calendar: add, move, change and delete events, and what the week holds."""

from zoo.environments.phone.apps.calendar import EVENTS, PAGE, REPEATS, day_line
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.records import gone, look_at, made, preference_templates, there, unlike
from zoo.environments.phone.tasks.template import Changes, Look, Pool, Template, Values, pool
from zoo.environments.phone.values import ALARM_TIMES, DAYS, SPOTS
from zoo.environments.phone.values import EVENTS as TITLES

__all__ = ["SLOT", "TEMPLATES", "TITLE"]

_PLACES = tuple(name for names in SPOTS.values() for name in names)
TITLE = pool("title", TITLES)
SLOT = Pool(("day", "time"), tuple((DAYS[at % len(DAYS)], time) for at, time in enumerate(ALARM_TIMES)))
"""A day of the week and a time."""
_TIME, _DAY = pool("time", ALARM_TIMES), pool("day", DAYS)
_PLACE = pool("place", _PLACES)
_PLAN = Pool(
    ("day", "time", "place", "repeat"),
    tuple(
        (DAYS[at % len(DAYS)], time, _PLACES[at % len(_PLACES)], REPEATS[1 + at % 3])
        for at, time in enumerate(ALARM_TIMES)
    ),
)


def _on(data: Data, day: str) -> int:
    return sum(event.day == day for event in data["events"])


def _look_at_day(data: Data, values: Values) -> Look:
    count = _on(data, values["day"])
    return Look((("calendar", ""),), day_line(data, values["day"]), str(count or "no"))


def _busy(data: Data, values: Values) -> Changes:
    """As many events on the day as the task's number says."""
    others = [event for event in data["events"] if event.day != values["day"]]
    names = [name for name in TITLES if all(event.title != name for event in others)][: int(values["count"])]
    drawn = [
        EVENTS.record(name, values["day"], ALARM_TIMES[7 * at + len(values["day"])]) for at, name in enumerate(names)
    ]
    return {"events": tuple(sorted([*others, *drawn]))}


def _look_at_first(data: Data, values: Values) -> Look:
    return Look((("calendar", ""), ("calendar/day", values["day"])), f"04:30 {values['title']}", values["title"])


TEMPLATES = (
    Template(
        "calendar.add",
        "operation",
        ("Add {title} to the calendar on {day} at {time}.", "Put {title} into the calendar: {day}, {time}."),
        (TITLE, SLOT),
        prepare=gone(EVENTS),
        change=made(EVENTS, day="{day}", time="{time}"),
    ),
    Template(
        "calendar.add_whole",
        "operation",
        (
            "Add {title} on {day} at {time} at {place} to the calendar, repeated {repeat}.",
            "Plan {title} in the calendar: {day}, {time}, place {place}, repeat {repeat}.",
        ),
        (TITLE, _PLAN),
        prepare=gone(EVENTS),
        change=made(EVENTS, day="{day}", time="{time}", place="{place}", repeat="{repeat}"),
        held_out=True,
    ),
    Template(
        "calendar.add_at_place",
        "operation",
        ("Add {title} at {place} on Monday at {time} to the calendar.", "Plan {title} on Monday, {time}, at {place}."),
        (TITLE, Pool(("time", "place"), tuple((time, place) for _, time, place, _ in _PLAN.values))),
        prepare=gone(EVENTS),
        change=made(EVENTS, time="{time}", place="{place}"),
    ),
    Template(
        "calendar.delete",
        "operation",
        ("Delete {title} from the calendar.", "Cancel the event {title}."),
        (TITLE,),
        prepare=there(EVENTS),
        change=gone(EVENTS),
    ),
    Template(
        "calendar.change_time",
        "operation",
        ("Move {title} to {time} on the same day.", "Change the time of the event {title} to {time}."),
        (TITLE, _TIME),
        prepare=there(EVENTS, time="04:45"),
        change=there(EVENTS, time="{time}"),
    ),
    Template(
        "calendar.change_day",
        "operation",
        ("Move {title} to {day}.", "Change the day of the event {title} to {day}."),
        (TITLE, _DAY),
        prepare=there(EVENTS, day=unlike(DAYS, "day")),
        change=there(EVENTS, day="{day}"),
    ),
    Template(
        "calendar.set_place",
        "operation",
        ("Set the place of {title} to {place}.", "The event {title} is at {place} now: change it."),
        (TITLE, _PLACE),
        prepare=there(EVENTS, place=""),
        change=there(EVENTS, place="{place}"),
    ),
    Template(
        "calendar.set_repeat",
        "operation",
        ("Repeat the event {title} {repeat}.", "Set the repeat of {title} to {repeat}."),
        (TITLE, pool("repeat", REPEATS)),
        prepare=there(EVENTS, repeat=unlike(REPEATS, "repeat")),
        change=there(EVENTS, repeat="{repeat}"),
    ),
    Template(
        "calendar.remind",
        "operation",
        ("Turn on the reminder of {title}.", "Remind me of the event {title}."),
        (TITLE,),
        prepare=there(EVENTS, reminder=False),
        change=there(EVENTS, reminder=True),
    ),
    Template(
        "calendar.no_reminder",
        "operation",
        ("Turn off the reminder of {title}.", "I need no reminder of the event {title}."),
        (TITLE,),
        prepare=there(EVENTS, reminder=True),
        change=there(EVENTS, reminder=False),
        held_out=True,
    ),
    Template(
        "calendar.move",
        "operation",
        ("Move {title} to {day} at {time}.", "Change the event {title}: it is on {day} at {time} now."),
        (TITLE, SLOT),
        prepare=there(EVENTS, day=unlike(DAYS, "day"), time="04:45"),
        change=there(EVENTS, day="{day}", time="{time}"),
    ),
    Template(
        "calendar.when",
        "query",
        ("At what time is {title}?", "When on its day does {title} begin?"),
        (TITLE, _TIME),
        prepare=there(EVENTS, time="{time}"),
        look=look_at(EVENTS, "time"),
    ),
    Template(
        "calendar.where",
        "query",
        ("Where is the event {title}?", "What is the place of the event {title}?"),
        (TITLE, _PLACE),
        prepare=there(EVENTS, place="{place}"),
        look=look_at(EVENTS, "place"),
    ),
    Template(
        "calendar.which_day",
        "query",
        ("On which day is {title}?", "What day is the event {title}?"),
        (TITLE, _DAY),
        prepare=there(EVENTS, day="{day}"),
        look=look_at(EVENTS, "day"),
        held_out=True,
    ),
    Template(
        "calendar.how_many",
        "query",
        ("How many events are there on {day}?", "How many events does the calendar show for {day}?"),
        (_DAY, Pool(("count",), (("1",), ("2",), ("3",), ("4",)), closed=True)),
        prepare=_busy,
        look=_look_at_day,
    ),
    Template(
        "calendar.first",
        "query",
        ("What is the first event on {day}?", "Which event comes first on {day}?"),
        (TITLE, _DAY),
        prepare=there(EVENTS, day="{day}", time="04:30"),
        look=_look_at_first,
    ),
    *preference_templates(PAGE, "Calendar"),
)

"""Tasks in Clock: alarms, the timer, and the time elsewhere."""

from zoo.environments.phone.apps.clock import CITIES, TIMERS, Alarm, local_time, with_alarm, without_alarm
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.template import Changes, Look, Pool, Template, Values, pool
from zoo.environments.phone.values import ALARM_LABELS, ALARM_TIMES

__all__ = ["TEMPLATES"]

_TIME = pool("time", ALARM_TIMES)
_LABEL = pool("label", ALARM_LABELS)
_CITY = pool("city", tuple(CITIES))
_LABELLED_TIME = Pool(
    ("time", "label"),
    tuple((time, ALARM_LABELS[position % len(ALARM_LABELS)]) for position, time in enumerate(ALARM_TIMES)),
)


def _no_alarm(data: Data, values: Values) -> Changes:
    return {"alarms": without_alarm(data["alarms"], values["time"])}


def _an_alarm(on: bool, data: Data, values: Values) -> Changes:
    """The alarm of the task, its label on no other."""
    others = tuple(alarm for alarm in data["alarms"] if alarm.label != values["label"])
    return {"alarms": with_alarm(others, Alarm(values["time"], values["label"], on))}


def _with_city(data: Data, values: Values) -> Changes:
    return {"cities": tuple(sorted({*data["cities"], values["city"]}))}


def _without_city(data: Data, values: Values) -> Changes:
    return {"cities": tuple(city for city in data["cities"] if city != values["city"])}


def _look_at_city(data: Data, values: Values) -> Look:
    time = local_time(data["now"], values["city"])
    return Look((("clock", ""), ("clock/cities", "")), f"{values['city']} {time}", time)


TEMPLATES = (
    Template(
        "clock.add_alarm",
        "operation",
        ("Set an alarm for {time}.", "Add an alarm at {time}.", "Wake me up at {time}."),
        (_TIME,),
        prepare=_no_alarm,
        change=lambda data, values: {"alarms": with_alarm(data["alarms"], Alarm(values["time"], ""))},
    ),
    Template(
        "clock.add_labelled_alarm",
        "operation",
        ("Set an alarm for {time} labelled {label}.", "Add an alarm called {label} at {time}."),
        (_TIME, _LABEL),
        prepare=_no_alarm,
        change=lambda data, values: {"alarms": with_alarm(data["alarms"], Alarm(values["time"], values["label"]))},
        held_out=True,
    ),
    Template(
        "clock.alarm_on",
        "operation",
        ("Turn on the {time} alarm.", "Switch on the alarm at {time}.", "Enable the {time} alarm."),
        (_LABELLED_TIME,),
        prepare=lambda data, values: _an_alarm(False, data, values),
        change=lambda data, values: _an_alarm(True, data, values),
    ),
    Template(
        "clock.alarm_off",
        "operation",
        ("Turn off the {label} alarm.", "Switch off the alarm called {label}.", "Disable the {label} alarm."),
        (_LABELLED_TIME,),
        prepare=lambda data, values: _an_alarm(True, data, values),
        change=lambda data, values: _an_alarm(False, data, values),
    ),
    Template(
        "clock.delete_alarm",
        "operation",
        ("Delete the {time} alarm.", "Remove the alarm at {time}."),
        (_LABELLED_TIME,),
        prepare=lambda data, values: _an_alarm(True, data, values),
        change=_no_alarm,
    ),
    Template(
        "clock.alarm_time",
        "query",
        ("What time is the {label} alarm set for?", "When does the {label} alarm ring?"),
        (_LABELLED_TIME,),
        prepare=lambda data, values: _an_alarm(True, data, values),
        look=lambda data, values: Look(
            (("clock", ""), ("clock/alarms", "")), f"{values['time']} {values['label']}", values["time"]
        ),
    ),
    Template(
        "clock.timer",
        "operation",
        ("Start a timer for {length}.", "Start a {length} timer.", "Set the timer to {length} and start it."),
        (pool("length", TIMERS),),
        change=lambda data, values: {"timer": values["length"]},
    ),
    Template(
        "clock.city_time",
        "query",
        ("What time is it in {city}?", "Which time does the world clock show for {city}?"),
        (_CITY, pool("now", ALARM_TIMES)),
        prepare=lambda data, values: {**_with_city(data, values), "now": values["now"]},
        look=_look_at_city,
    ),
    Template(
        "clock.add_city",
        "operation",
        ("Add {city} to the world clock.", "Show the time of {city} in the world clock."),
        (_CITY,),
        prepare=_without_city,
        change=_with_city,
    ),
    Template(
        "clock.remove_city",
        "operation",
        ("Remove {city} from the world clock.", "Delete {city} from the world clock."),
        (_CITY,),
        prepare=_with_city,
        change=_without_city,
        held_out=True,
    ),
)

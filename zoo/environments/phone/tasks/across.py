"""Tasks that carry a fact from one app into another: read it there, use it here."""

from collections.abc import Callable

from zoo.environments.phone.apps.calendar import EVENTS
from zoo.environments.phone.apps.clock import Alarm, with_alarm, without_alarm
from zoo.environments.phone.apps.contacts import with_contact
from zoo.environments.phone.apps.finance import ACCOUNTS
from zoo.environments.phone.apps.messages import Message, Thread, sent, thread_with, with_thread
from zoo.environments.phone.apps.reader import BOOKS
from zoo.environments.phone.collection import named
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.calendar import TITLE
from zoo.environments.phone.tasks.contacts import known
from zoo.environments.phone.tasks.finance import look_at_balance, with_balance
from zoo.environments.phone.tasks.maps import SPOT, look_at_spot, trip
from zoo.environments.phone.tasks.records import look_at, there, together
from zoo.environments.phone.tasks.template import Changes, Look, Pool, Template, Values, pool
from zoo.environments.phone.values import ALARM_TIMES, NAMES, PHONES, SPOTS
from zoo.environments.phone.values import BOOKS as BOOK_TITLES
from zoo.environments.phone.values import EVENTS as EVENT_TITLES

__all__ = ["TEMPLATES"]

_NAME = pool("name", NAMES)
_PERSON_AND_PHONE = Pool(("name", "phone"), tuple(zip(NAMES, PHONES, strict=False)))
_PERSON_AND_TIME = Pool(("name", "time"), tuple((NAMES[at % len(NAMES)], time) for at, time in enumerate(ALARM_TIMES)))
_EVENT_AND_TIME = Pool(("title", "time"), tuple(zip(EVENT_TITLES, ALARM_TIMES[9:], strict=False)))
_EVENT_AND_PLACE = Pool(
    ("title", "place"),
    tuple(zip(EVENT_TITLES, (name for names in SPOTS.values() for name in names), strict=False)),
)


def _wrote(parameter: str) -> Callable[[Data, Values], Changes]:
    """The person of the task is known, and wrote a parameter last; with an empty one, there is just a thread."""

    def step(data: Data, values: Values) -> Changes:
        thread = thread_with(data["threads"], values["name"]) or Thread(values["name"], (Message("Hello"),))
        last = (Message(values[parameter]),) if parameter else ()
        return {
            "contacts": with_contact(data["contacts"], known(data, values["name"])),
            "threads": with_thread(data["threads"], thread._replace(messages=(*thread.messages, *last))),
        }

    return step


def _look_at_message(parameter: str) -> Callable[[Data, Values], Look]:
    def look(data: Data, values: Values) -> Look:
        places = (("messages", ""), ("messages/thread", values["name"]))
        return Look(places, f"{values['name']}: {values[parameter]}", values[parameter])

    return look


def _told(fact: Callable[[Data, Values], str]) -> Callable[[Data, Values], Changes]:
    """The fact was sent to the person of the task."""
    return lambda data, values: {"threads": sent(data["threads"], values["name"], fact(data, values))}


def _address(data: Data, values: Values) -> str:
    return str(named(data["spots"], values["spot"]).address)


def _new_number(data: Data, values: Values) -> Changes:
    return {"contacts": with_contact(data["contacts"], known(data, values["name"])._replace(phone=values["phone"]))}


def _alarm(data: Data, values: Values) -> Changes:
    return {"alarms": with_alarm(data["alarms"], Alarm(values["time"], ""))}


def _no_alarm(data: Data, values: Values) -> Changes:
    return {"alarms": without_alarm(data["alarms"], values["time"])}


TEMPLATES = (
    Template(
        "messages.tell_time",
        "operation",
        (
            "Send {name} the time of the event {title}.",
            "Look up when {title} is and send it to {name}.",
        ),
        (_NAME, _EVENT_AND_TIME),
        prepare=together(_wrote(""), there(EVENTS, time="{time}")),
        change=_told(lambda data, values: values["time"]),
        look=look_at(EVENTS, "time"),
    ),
    Template(
        "messages.tell_address",
        "operation",
        ("Send {name} the address of {spot}.", "Look up the address of {spot} in Maps and send it to {name}."),
        (_NAME, SPOT),
        prepare=_wrote(""),
        change=_told(_address),
        look=lambda data, values: look_at_spot(data, values["spot"], "Address", _address(data, values)),
    ),
    Template(
        "messages.tell_balance",
        "operation",
        ("Send {name} the balance of {account}.", "Write to {name} how much money is in {account}."),
        (
            _NAME,
            Pool(
                ("account", "amount"), tuple((ACCOUNTS[at % len(ACCOUNTS)], f"{at * 71 + 205}.40") for at in range(24))
            ),
        ),
        prepare=together(_wrote(""), with_balance),
        change=_told(lambda data, values: values["amount"]),
        look=look_at_balance,
    ),
    Template(
        "messages.tell_author",
        "operation",
        ("Send {name} the author of {title}.", "Look up in Reader who wrote {title} and send it to {name}."),
        (_NAME, pool("title", BOOK_TITLES)),
        prepare=together(_wrote(""), there(BOOKS)),
        change=_told(lambda data, values: str(named(data["books"], values["title"]).author)),
        look=look_at(BOOKS, "author"),
        held_out=True,
    ),
    Template(
        "contacts.number_from_message",
        "operation",
        (
            "{name} wrote a new phone number. Change it in the contacts.",
            "Update the phone number of {name}: it is in the last message.",
        ),
        (_PERSON_AND_PHONE,),
        prepare=_wrote("phone"),
        change=_new_number,
        look=_look_at_message("phone"),
    ),
    Template(
        "clock.alarm_from_message",
        "operation",
        ("{name} wrote a time. Set an alarm for it.", "Set an alarm for the time that {name} wrote last."),
        (_PERSON_AND_TIME,),
        prepare=together(_wrote("time"), _no_alarm),
        change=_alarm,
        look=_look_at_message("time"),
    ),
    Template(
        "clock.alarm_from_event",
        "operation",
        ("Set an alarm for the time of the event {title}.", "Look up when {title} is and set an alarm for that time."),
        (_EVENT_AND_TIME,),
        prepare=together(there(EVENTS, time="{time}"), _no_alarm),
        change=_alarm,
        look=look_at(EVENTS, "time"),
        held_out=True,
    ),
    Template(
        "calendar.time_from_message",
        "operation",
        ("Move {title} to the time that {name} wrote last.", "{name} wrote a new time for {title}. Change the event."),
        (TITLE, _PERSON_AND_TIME),
        prepare=together(_wrote("time"), there(EVENTS, time="04:45")),
        change=there(EVENTS, time="{time}"),
        look=_look_at_message("time"),
    ),
    Template(
        "maps.drive_to_event",
        "operation",
        ("Drive to the place of the event {title}.", "Look up where {title} is and navigate there by car."),
        (_EVENT_AND_PLACE,),
        prepare=there(EVENTS, place="{place}"),
        change=lambda data, values: trip(values["place"]),
        look=look_at(EVENTS, "place"),
    ),
)

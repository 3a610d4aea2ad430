"""Tasks in Meetings: plan, change, join and leave calls, and facts about them. The app is held out of training."""

from zoo.environments.phone.apps.meetings import MEETINGS, PAGE
from zoo.environments.phone.tasks.records import gone, look_at, made, preference_templates, there, together, unlike
from zoo.environments.phone.tasks.template import Changes, Pool, Template, Values, pool
from zoo.environments.phone.values import ALARM_TIMES, DAYS, NAMES, PASSCODES, TOPICS

__all__ = ["TEMPLATES"]

_TOPIC, _CODE = pool("topic", TOPICS), pool("passcode", PASSCODES)
_SLOT = Pool(("day", "time"), tuple((DAYS[at % len(DAYS)], time) for at, time in enumerate(ALARM_TIMES)))


def _in_call(values: Values, **more: bool) -> Changes:
    return {"meetings.joined": values["topic"], **{f"meetings.{name}": on for name, on in more.items()}}


TEMPLATES = (
    Template(
        "meetings.schedule",
        "operation",
        ("Schedule the meeting {topic} on {day} at {time}.", "Plan a meeting {topic}: {day}, {time}."),
        (_TOPIC, _SLOT),
        prepare=gone(MEETINGS),
        change=made(MEETINGS, day="{day}", time="{time}"),
    ),
    Template(
        "meetings.schedule_with_code",
        "operation",
        ("Schedule {topic} on {day} at {time} with the passcode 4711.", "Plan {topic}: {day}, {time}, passcode 4711."),
        (_TOPIC, _SLOT),
        prepare=gone(MEETINGS),
        change=made(MEETINGS, day="{day}", time="{time}", passcode="4711"),
    ),
    Template(
        "meetings.delete",
        "operation",
        ("Delete the meeting {topic}.", "Cancel the meeting {topic}."),
        (_TOPIC,),
        prepare=there(MEETINGS),
        change=gone(MEETINGS),
    ),
    Template(
        "meetings.change_time",
        "operation",
        ("Move the meeting {topic} to {time}.", "Change the time of the meeting {topic} to {time}."),
        (_TOPIC, pool("time", ALARM_TIMES)),
        prepare=there(MEETINGS, time="04:45"),
        change=there(MEETINGS, time="{time}"),
    ),
    Template(
        "meetings.change_day",
        "operation",
        ("Move the meeting {topic} to {day}.", "The meeting {topic} is on {day} now: change it."),
        (_TOPIC, pool("day", DAYS)),
        prepare=there(MEETINGS, day=unlike(DAYS, "day")),
        change=there(MEETINGS, day="{day}"),
    ),
    Template(
        "meetings.set_passcode",
        "operation",
        ("Set the passcode of {topic} to {passcode}.", "The meeting {topic} needs the passcode {passcode}: set it."),
        (_TOPIC, _CODE),
        prepare=there(MEETINGS, passcode=""),
        change=there(MEETINGS, passcode="{passcode}"),
    ),
    Template(
        "meetings.waiting_room",
        "operation",
        ("Turn on the waiting room of {topic}.", "Let people wait before the meeting {topic}: waiting room on."),
        (_TOPIC,),
        prepare=there(MEETINGS, waiting_room=False),
        change=there(MEETINGS, waiting_room=True),
    ),
    Template(
        "meetings.join",
        "operation",
        ("Join the meeting {topic}.", "Enter the call {topic}."),
        (_TOPIC,),
        prepare=there(MEETINGS),
        change=lambda data, values: _in_call(values),
    ),
    Template(
        "meetings.join_muted",
        "operation",
        ("Join {topic} with the microphone off.", "Join the meeting {topic} without the microphone."),
        (_TOPIC,),
        prepare=there(MEETINGS),
        change=lambda data, values: _in_call(values, microphone=False),
    ),
    Template(
        "meetings.join_unseen",
        "operation",
        ("Join {topic} with microphone and camera off.", "Join the meeting {topic} without microphone and camera."),
        (_TOPIC,),
        prepare=there(MEETINGS),
        change=lambda data, values: _in_call(values, microphone=False, camera=False),
    ),
    Template(
        "meetings.leave",
        "operation",
        ("Leave the meeting {topic}.", "Hang up: leave the call {topic}."),
        (_TOPIC,),
        prepare=together(there(MEETINGS), lambda data, values: _in_call(values)),
        change=lambda data, values: {"meetings.joined": ""},
    ),
    Template(
        "meetings.raise_hand",
        "operation",
        ("Raise the hand in the call {topic}.", "I am in the call {topic}: raise my hand."),
        (_TOPIC,),
        prepare=together(there(MEETINGS), lambda data, values: _in_call(values)),
        change=lambda data, values: {"meetings.hand": True},
    ),
    Template(
        "meetings.host",
        "query",
        ("Who is the host of {topic}?", "Who hosts the meeting {topic}?"),
        (_TOPIC, pool("host", NAMES)),
        prepare=there(MEETINGS, host="{host}"),
        look=look_at(MEETINGS, "host"),
    ),
    Template(
        "meetings.passcode",
        "query",
        ("What is the passcode of {topic}?", "Which passcode does the meeting {topic} have?"),
        (_TOPIC, _CODE),
        prepare=there(MEETINGS, passcode="{passcode}"),
        look=look_at(MEETINGS, "passcode"),
    ),
    Template(
        "meetings.time",
        "query",
        ("At what time is the meeting {topic}?", "When on its day does the meeting {topic} begin?"),
        (_TOPIC, pool("time", ALARM_TIMES)),
        prepare=there(MEETINGS, time="{time}"),
        look=look_at(MEETINGS, "time"),
    ),
    *preference_templates(PAGE, "Meetings"),
)

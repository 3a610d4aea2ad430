"""The Messages app: a thread for each person, a new one from the contacts, mute and delete."""

from typing import NamedTuple

from zoo.environments.phone.app import App, Want
from zoo.environments.phone.screen import Screen, button, dialog, field, note, row, switch
from zoo.environments.phone.state import Data, Place, State

__all__ = ["APP", "Message", "Thread", "sent", "thread_with", "with_thread", "without_thread"]

_SHOWN = 3
"""The latest messages that a thread shows."""


class Message(NamedTuple):
    """One message; `mine` when the owner of the phone wrote it."""

    text: str
    mine: bool = False


class Thread(NamedTuple):
    """All messages with one person, oldest first."""

    person: str
    messages: tuple[Message, ...] = ()
    muted: bool = False


Threads = tuple[Thread, ...]


def thread_with(threads: Threads, person: str) -> Thread | None:
    """The thread with that person."""
    return next((thread for thread in threads if thread.person == person), None)


def with_thread(threads: Threads, thread: Thread) -> Threads:
    """The threads, sorted by person, with this one in the place of another with the same person."""
    return tuple(sorted((*without_thread(threads, thread.person), thread)))


def without_thread(threads: Threads, person: str) -> Threads:
    """The threads but the one with this person."""
    return tuple(thread for thread in threads if thread.person != person)


def sent(threads: Threads, person: str, text: str) -> Threads:
    """The threads after the owner wrote to a person."""
    thread = thread_with(threads, person) or Thread(person)
    return with_thread(threads, thread._replace(messages=(*thread.messages, Message(text, mine=True))))


def _root(data: Data, place: Place) -> Screen:
    rows = tuple(
        row(
            thread.person,
            "open",
            "messages/thread",
            thread.person,
            hold=("open", "messages/delete", thread.person),
        )
        for thread in data["threads"]
    )
    return Screen("Messages", (button("New message", "open", "messages/new"),), rows)


def _new(data: Data, place: Place) -> Screen:
    people = tuple(row(contact.name, "open", "messages/thread", contact.name) for contact in data["contacts"])
    return Screen("New message", rows=people)


def _thread(data: Data, place: Place) -> Screen:
    person = place.subject
    thread = thread_with(data["threads"], person) or Thread(person)
    shown = tuple(
        note(f"{'You' if message.mine else person.split()[0]}: {message.text}") for message in thread.messages[-_SHOWN:]
    )
    mute = (switch("Mute", thread.muted, "messages.mute", person),) if thread.messages else ()
    write = (field(place, "message", "Message"), button("Send", "messages.send", person))
    return Screen(person, (*shown, *mute, *write))


def _delete(data: Data, place: Place) -> Screen:
    return dialog(f"Delete chat with {place.subject}?", "Delete", "messages.delete", place.subject)


def _send(state: State, person: str) -> State:
    """Nothing is sent when there is nothing to send."""
    place = state.stack[-1]
    text = place.edit("message").strip()
    if not text:
        return state
    return state.store(threads=sent(state.data["threads"], person, text)).on_top(place._replace(edits=(), focus=""))


def _mute(state: State, person: str) -> State:
    threads = state.data["threads"]
    changed = (one._replace(muted=not one.muted) if one.person == person else one for one in threads)
    return state.store(threads=tuple(changed))


def _remove(state: State, person: str) -> State:
    return state.store(threads=without_thread(state.data["threads"], person)).leave()


def _repair(data: Data, goal: Data) -> list[Want]:
    have, need = ({thread.person: thread for thread in which["threads"]} for which in (data, goal))
    wants = [
        Want((("messages", ""), ("messages/delete", person)), ("messages.delete", person))
        for person in have
        if person not in need
    ]
    for person, thread in need.items():
        wants += _repair_thread(have.get(person), thread)
    return wants


def _repair_thread(have: Thread | None, need: Thread) -> list[Want]:
    """Only what is missing at the end can be mended: a message that was sent stays sent."""
    old = have or Thread(need.person)
    missing = need.messages[len(old.messages) :]
    if need.messages[: len(old.messages)] != old.messages or any(not message.mine for message in missing):
        return []
    new = () if have else (("messages/new", ""),)
    places = (("messages", ""), *new, ("messages/thread", need.person))
    if missing:
        return [Want(places, ("messages.send", need.person), (("message", missing[0].text),))]
    return [Want(places, ("messages.mute", need.person))] if old.muted != need.muted else []


APP = App(
    "Messages",
    {"messages": _root, "messages/new": _new, "messages/thread": _thread, "messages/delete": _delete},
    {"messages.send": _send, "messages.mute": _mute, "messages.delete": _remove},
    _repair,
)

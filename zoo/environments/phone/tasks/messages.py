"""Tasks in Messages: write to somebody, read, mute and delete threads, and one that begins in Contacts."""

from zoo.environments.phone.apps.contacts import with_contact
from zoo.environments.phone.apps.messages import Message, Thread, sent, thread_with, with_thread, without_thread
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.contacts import known
from zoo.environments.phone.tasks.template import Changes, Look, Template, Values, pool
from zoo.environments.phone.values import NAMES, TEXTS

__all__ = ["TEMPLATES"]

_NAME = pool("name", NAMES)
_TEXT = pool("text", TEXTS)


def _thread(data: Data, name: str, *last: Message, muted: bool | None = None) -> Changes:
    """Somebody in the contacts with a thread, which ends as given."""
    thread = thread_with(data["threads"], name) or Thread(name, (Message("Hello"),))
    thread = thread._replace(messages=(*thread.messages, *last), muted=thread.muted if muted is None else muted)
    return {
        "contacts": with_contact(data["contacts"], known(data, name)),
        "threads": with_thread(data["threads"], thread),
    }


def _no_thread(data: Data, values: Values) -> Changes:
    return {
        "contacts": with_contact(data["contacts"], known(data, values["name"])),
        "threads": without_thread(data["threads"], values["name"]),
    }


def _sent(data: Data, values: Values) -> Changes:
    return {"threads": sent(data["threads"], values["name"], values["text"])}


def _two_people(data: Data, values: Values) -> Changes:
    contacts = with_contact(data["contacts"], known(data, values["owner"]))
    return {**_thread({**data, "contacts": contacts}, values["name"])}


def _number_sent(data: Data, values: Values) -> Changes:
    return {"threads": sent(data["threads"], values["name"], known(data, values["owner"]).phone)}


def _look_at_number(data: Data, values: Values) -> Look:
    phone = known(data, values["owner"]).phone
    return Look((("contacts", ""), ("contacts/person", values["owner"])), f"Phone: {phone}", phone)


TEMPLATES = (
    Template(
        "messages.send",
        "operation",
        ('Send "{text}" to {name}.', 'Write "{text}" to {name}.', 'Text {name}: "{text}"'),
        (_NAME, _TEXT),
        prepare=lambda data, values: _thread(data, values["name"]),
        change=_sent,
    ),
    Template(
        "messages.send_new",
        "operation",
        ('Start a chat with {name} and send "{text}".', 'Send a new message "{text}" to {name}.'),
        (_NAME, _TEXT),
        prepare=_no_thread,
        change=_sent,
    ),
    Template(
        "messages.last",
        "query",
        ("What did {name} write last?", "What is the last message of {name}?"),
        (_NAME, _TEXT),
        prepare=lambda data, values: _thread(data, values["name"], Message(values["text"])),
        look=lambda data, values: Look(
            (("messages", ""), ("messages/thread", values["name"])),
            f"{values['name']}: {values['text']}",
            values["text"],
        ),
    ),
    Template(
        "messages.mute",
        "operation",
        ("Mute the chat with {name}.", "Mute messages of {name}."),
        (_NAME,),
        prepare=lambda data, values: _thread(data, values["name"], muted=False),
        change=lambda data, values: _thread(data, values["name"], muted=True),
    ),
    Template(
        "messages.unmute",
        "operation",
        ("Unmute the chat with {name}.", "Hear messages of {name} again: unmute the chat."),
        (_NAME,),
        prepare=lambda data, values: _thread(data, values["name"], muted=True),
        change=lambda data, values: _thread(data, values["name"], muted=False),
    ),
    Template(
        "messages.delete",
        "operation",
        ("Delete the chat with {name}.", "Remove the messages of {name}."),
        (_NAME,),
        prepare=lambda data, values: _thread(data, values["name"]),
        change=lambda data, values: {"threads": without_thread(data["threads"], values["name"])},
    ),
    Template(
        "messages.share_number",
        "operation",
        ("Send the phone number of {owner} to {name}.", "Look up the number of {owner} and send it to {name}."),
        (_NAME, pool("owner", NAMES)),
        prepare=_two_people,
        change=_number_sent,
        look=_look_at_number,
        held_out=True,
    ),
)

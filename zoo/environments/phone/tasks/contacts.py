"""Tasks in Contacts: add, delete, change, favourites, and facts about a person."""

from random import Random

from zoo.environments.phone.apps.contacts import Contact, contact_named, with_contact, without_contact
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.template import Changes, Look, Template, Values, pool
from zoo.environments.phone.values import NAMES, PHONES
from zoo.environments.phone.world import draw_contact

__all__ = ["TEMPLATES", "known"]

_NAME = pool("name", NAMES)
_PHONE = pool("phone", PHONES)
_PLACES = ("contacts", "")


def known(data: Data, name: str) -> Contact:
    """The contact of that name: somebody that a task is about must exist, so whoever does not is drawn here."""
    return contact_named(data["contacts"], name) or draw_contact(Random(f"{data['now']} {name}"), name)


def _with(data: Data, contact: Contact) -> Changes:
    return {"contacts": with_contact(data["contacts"], contact)}


def _known(data: Data, values: Values) -> Changes:
    return _with(data, known(data, values["name"]))


def _favourite(data: Data, values: Values) -> Changes:
    return _with(data, known(data, values["name"])._replace(favourite=True))


def _no_favourite(data: Data, values: Values) -> Changes:
    return _with(data, known(data, values["name"])._replace(favourite=False))


def _numbered(data: Data, values: Values) -> Changes:
    return _with(data, known(data, values["name"])._replace(phone=values["phone"]))


def _without(data: Data, values: Values) -> Changes:
    return {"contacts": without_contact(data["contacts"], values["name"])}


def _look(name: str, label: str, fact: str) -> Look:
    return Look((_PLACES, ("contacts/person", name)), label, fact)


def _look_at_email(data: Data, values: Values) -> Look:
    email = known(data, values["name"]).email
    return _look(values["name"], f"Email: {email}", email)


TEMPLATES = (
    Template(
        "contacts.add",
        "operation",
        ("Add {name} with the number {phone} to the contacts.", "Save a contact {name}, phone {phone}."),
        (_NAME, _PHONE),
        prepare=_without,
        change=lambda data, values: {
            "contacts": with_contact(data["contacts"], Contact(values["name"], values["phone"]))
        },
    ),
    Template(
        "contacts.delete",
        "operation",
        ("Delete {name} from the contacts.", "Remove the contact {name}."),
        (_NAME,),
        prepare=_known,
        change=_without,
    ),
    Template(
        "contacts.favourite",
        "operation",
        ("Make {name} a favourite.", "Add {name} to the favourites.", "Mark the contact {name} as favourite."),
        (_NAME,),
        prepare=_no_favourite,
        change=_favourite,
    ),
    Template(
        "contacts.unfavourite",
        "operation",
        ("Remove {name} from the favourites.", "{name} is no favourite any more: change the contact."),
        (_NAME,),
        prepare=_favourite,
        change=_no_favourite,
        held_out=True,
    ),
    Template(
        "contacts.change_phone",
        "operation",
        ("Change the phone number of {name} to {phone}.", "{name} has a new number, {phone}. Update the contact."),
        (_NAME, _PHONE),
        prepare=_known,
        change=_numbered,
    ),
    Template(
        "contacts.phone",
        "query",
        ("What is the phone number of {name}?", "Which number does {name} have?"),
        (_NAME, _PHONE),
        prepare=_numbered,
        look=lambda data, values: _look(values["name"], f"Phone: {values['phone']}", values["phone"]),
    ),
    Template(
        "contacts.email",
        "query",
        ("What is the email address of {name}?", "Which email does {name} have?"),
        (_NAME,),
        prepare=_known,
        look=_look_at_email,
        held_out=True,
    ),
)

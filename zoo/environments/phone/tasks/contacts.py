"""Tasks in Contacts: add, delete, change, favourites, and facts about a person."""

from zoo.environments.phone.apps.contacts import Contact, contact_named, with_contact, without_contact
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.template import Changes, Look, Template, Values, pool
from zoo.environments.phone.values import NAMES, PHONES

__all__ = ["TEMPLATES", "known"]

_NAME = pool("name", NAMES)
_PHONE = pool("phone", PHONES)
_PLACES = ("contacts", "")


def known(data: Data, name: str) -> Contact:
    """The contact of that name as drawn, else a plain one: somebody that a task is about must exist."""
    return contact_named(data["contacts"], name) or Contact(name, "555-0987", f"{name.lower()}@mail.org")


def _with(data: Data, name: str, **changed: str | bool) -> Changes:
    return {"contacts": with_contact(data["contacts"], known(data, name)._replace(**changed))}


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
        prepare=lambda data, values: _with(data, values["name"]),
        change=_without,
    ),
    Template(
        "contacts.favourite",
        "operation",
        ("Make {name} a favourite.", "Add {name} to the favourites.", "Mark the contact {name} as favourite."),
        (_NAME,),
        prepare=lambda data, values: _with(data, values["name"], favourite=False),
        change=lambda data, values: _with(data, values["name"], favourite=True),
    ),
    Template(
        "contacts.unfavourite",
        "operation",
        ("Remove {name} from the favourites.", "{name} is no favourite any more: change the contact."),
        (_NAME,),
        prepare=lambda data, values: _with(data, values["name"], favourite=True),
        change=lambda data, values: _with(data, values["name"], favourite=False),
        held_out=True,
    ),
    Template(
        "contacts.change_phone",
        "operation",
        ("Change the phone number of {name} to {phone}.", "{name} has a new number, {phone}. Update the contact."),
        (_NAME, _PHONE),
        prepare=lambda data, values: _with(data, values["name"]),
        change=lambda data, values: _with(data, values["name"], phone=values["phone"]),
    ),
    Template(
        "contacts.phone",
        "query",
        ("What is the phone number of {name}?", "Which number does {name} have?"),
        (_NAME, _PHONE),
        prepare=lambda data, values: _with(data, values["name"], phone=values["phone"]),
        look=lambda data, values: _look(values["name"], f"Phone: {values['phone']}", values["phone"]),
    ),
    Template(
        "contacts.email",
        "query",
        ("What is the email address of {name}?", "Which email does {name} have?"),
        (_NAME,),
        prepare=lambda data, values: _with(data, values["name"]),
        look=_look_at_email,
        held_out=True,
    ),
)

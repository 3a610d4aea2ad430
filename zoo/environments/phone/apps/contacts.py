"""The Contacts app: persons with a number and an address, favourites, a form to add and to edit."""

from typing import NamedTuple

from zoo.environments.phone.app import App, Want
from zoo.environments.phone.screen import Screen, button, dialog, field, note, row, switch
from zoo.environments.phone.state import Data, Place, State

__all__ = ["APP", "Contact", "contact_named", "with_contact", "without_contact"]


class Contact(NamedTuple):
    """One person; names are unique."""

    name: str
    phone: str
    email: str = ""
    favourite: bool = False


Contacts = tuple[Contact, ...]


def contact_named(contacts: Contacts, name: str) -> Contact | None:
    """The contact of that name."""
    return next((contact for contact in contacts if contact.name == name), None)


def with_contact(contacts: Contacts, contact: Contact) -> Contacts:
    """The contacts, sorted by name, with this one in the place of another of its name."""
    return tuple(sorted((*without_contact(contacts, contact.name), contact)))


def without_contact(contacts: Contacts, name: str) -> Contacts:
    """The contacts but the one of this name."""
    return tuple(contact for contact in contacts if contact.name != name)


def _root(data: Data, place: Place) -> Screen:
    rows = tuple(row(contact.name, "open", "contacts/person", contact.name) for contact in data["contacts"])
    return Screen("Contacts", (button("Add contact", "open", "contacts/form"),), rows)


def _person(data: Data, place: Place) -> Screen:
    contact = contact_named(data["contacts"], place.subject)
    if contact is None:
        return Screen("No such contact")
    return Screen(
        contact.name,
        (
            note(f"Phone: {contact.phone}"),
            note(f"Email: {contact.email}"),
            switch("Favourite", contact.favourite, "contacts.favourite", contact.name),
            button("Edit", "open", "contacts/form", contact.name),
            button("Delete", "open", "contacts/delete", contact.name),
        ),
    )


def _form(data: Data, place: Place) -> Screen:
    contact = contact_named(data["contacts"], place.subject) or Contact("", "")
    return Screen(
        "Edit contact" if place.subject else "New contact",
        (
            field(place, "name", "Name", contact.name),
            field(place, "phone", "Phone", contact.phone),
            field(place, "email", "Email", contact.email),
            button("Save", "contacts.save"),
        ),
    )


def _delete(data: Data, place: Place) -> Screen:
    return dialog(f"Delete {place.subject}?", "Delete", "contacts.delete", place.subject)


def _save(state: State) -> State:
    """A contact without a name or a number is refused: the form stays. A new name renames."""
    place = state.stack[-1]
    contacts = state.data["contacts"]
    old = contact_named(contacts, place.subject) or Contact("", "")
    new = Contact(
        place.edit("name", old.name).strip(),
        place.edit("phone", old.phone).strip(),
        place.edit("email", old.email).strip(),
        old.favourite,
    )
    if not new.name or not new.phone:
        return state
    saved = state.store(contacts=with_contact(without_contact(contacts, old.name), new))
    return saved.leave() if new.name == old.name or not old.name else saved.leave(2)


def _favourite(state: State, name: str) -> State:
    contacts = state.data["contacts"]
    changed = (one._replace(favourite=not one.favourite) if one.name == name else one for one in contacts)
    return state.store(contacts=tuple(changed))


def _remove(state: State, name: str) -> State:
    return state.store(contacts=without_contact(state.data["contacts"], name)).leave(2)


def _repair(data: Data, goal: Data) -> list[Want]:
    have, need = ({contact.name: contact for contact in which["contacts"]} for which in (data, goal))
    root = ("contacts", "")
    wants = [
        Want((root, ("contacts/person", name), ("contacts/delete", name)), ("contacts.delete", name))
        for name in have
        if name not in need
    ]
    for name, contact in need.items():
        if name not in have:
            wants.append(_filled((root, ("contacts/form", "")), contact))
        elif have[name][:3] != contact[:3]:
            wants.append(_filled((root, ("contacts/person", name), ("contacts/form", name)), contact))
        elif have[name].favourite != contact.favourite:
            wants.append(Want((root, ("contacts/person", name)), ("contacts.favourite", name)))
    return wants


def _filled(places: tuple[tuple[str, str], ...], contact: Contact) -> Want:
    fields = (("name", contact.name), ("phone", contact.phone), ("email", contact.email))
    return Want(places, ("contacts.save",), fields)


APP = App(
    "Contacts",
    {"contacts": _root, "contacts/person": _person, "contacts/form": _form, "contacts/delete": _delete},
    {"contacts.save": _save, "contacts.favourite": _favourite, "contacts.delete": _remove},
    _repair,
)

"""A list of things that an app keeps: its screens, its commands and its repairs follow from one description.

A thing is a named tuple whose first field is its name and unique. Each collection has four screens: the record, a form
to add or edit one, a dialog to pick a choice in the form, and a dialog to delete. The list itself is a screen of the
app, made of `rows`. Not covered: two records of one name, fields that depend on each other.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any, Literal, NamedTuple

from zoo.environments.phone.app import Command, Want
from zoo.environments.phone.screen import Element, Screen, button, dialog, field, note, row, switch
from zoo.environments.phone.state import Data, Place, State

__all__ = [
    "Attribute",
    "Collection",
    "add_button",
    "commands",
    "named",
    "repair",
    "rows",
    "screens",
    "with_record",
    "without_record",
]

Places = tuple[tuple[str, str], ...]


class Attribute(NamedTuple):
    """One field of a record, and how it is shown and changed."""

    name: str
    label: str
    kind: Literal["text", "choice", "switch", "fact"] = "text"
    """A `fact` can only be read."""
    options: tuple[str, ...] = ()
    """Of a choice; the first is the default."""
    pattern: str = ".+"
    """What a text must be to be saved."""


def _no_elements(data: Data, record: Any) -> tuple[Element, ...]:
    return ()


class Collection(NamedTuple):
    """One list of things, as data."""

    key: str
    """Of `data`: a tuple of records, sorted."""
    screen: str
    """Of one record, as `calendar/event`; its form is `calendar/event/form`."""
    noun: str
    record: Callable[..., Any]
    """The named tuple; fields that a form does not fill have defaults."""
    attributes: tuple[Attribute, ...]
    """Those that the record's screen shows; the first is its name."""
    draw: Callable[[Random, str], Any]
    """A record of that name, everything else by chance."""
    way: Callable[[Any], Places]
    """The screens from the launcher to the list that shows a record."""
    line: Callable[[Any], str]
    """A record as a row of its list."""
    add_way: Places = ()
    """The screens to the button that adds one; empty when none can be added."""
    can_delete: bool = True
    buttons: Callable[[Data, Any], tuple[Element, ...]] = _no_elements
    """What else can be done with a record."""
    more: Callable[[Data, Any], tuple[Element, ...]] = _no_elements
    """A list on the record's screen."""

    @property
    def editable(self) -> tuple[Attribute, ...]:
        """What the form asks for."""
        return tuple(one for one in self.attributes if one.kind in ("text", "choice"))


def named(records: tuple[Any, ...], name: str) -> Any:
    """The record of that name, or None."""
    return next((record for record in records if record[0] == name), None)


def with_record(records: tuple[Any, ...], record: Any) -> tuple[Any, ...]:
    """The records, sorted by name, with this one in the place of another of its name."""
    return tuple(sorted((*without_record(records, record[0]), record)))


def without_record(records: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """The records but the one of this name."""
    return tuple(record for record in records if record[0] != name)


def rows(collection: Collection, records: tuple[Any, ...]) -> tuple[Element, ...]:
    """The list, one row a record."""
    return tuple(row(collection.line(record), "open", collection.screen, record[0]) for record in records)


def add_button(collection: Collection) -> Element:
    """The button that opens an empty form."""
    return button(f"Add {collection.noun}", "open", f"{collection.screen}/form")


def screens(collection: Collection) -> dict[str, Callable[[Data, Place], Screen]]:
    """The screens that hang below a list."""
    own: dict[str, Callable[[Data, Place], Screen]] = {collection.screen: partial(_record, collection)}
    if collection.editable:
        own[f"{collection.screen}/form"] = partial(_form, collection)
    if any(one.kind == "choice" for one in collection.attributes):
        own[f"{collection.screen}/pick"] = partial(_options, collection)
    if collection.can_delete:
        own[f"{collection.screen}/delete"] = partial(_delete_dialog, collection)
    return own


def commands(collection: Collection) -> Mapping[str, Command]:
    """The effects that those screens have."""
    return {
        f"{collection.key}.save": partial(_save, collection),
        f"{collection.key}.toggle": partial(_toggle, collection),
        f"{collection.key}.delete": partial(_delete, collection),
    }


def repair(collection: Collection, data: Data, goal: Data) -> list[Want]:
    """What has to be done about the records that are not as they should be."""
    if data[collection.key] is goal[collection.key]:
        return []
    have, need = ({record[0]: record for record in which[collection.key]} for which in (data, goal))
    surplus, missing = [name for name in have if name not in need], [name for name in need if name not in have]
    if len(surplus) == len(missing) == 1 and _is_renamed(collection, have[surplus[0]], need[missing[0]]):
        return [_edited(collection, have[surplus[0]], need[missing[0]])]
    wants = [
        Want(
            (*_place(collection, have[name]), (f"{collection.screen}/delete", name)), (f"{collection.key}.delete", name)
        )
        for name in surplus
    ]
    wants += [
        Want(
            (*collection.add_way, (f"{collection.screen}/form", "")),
            (f"{collection.key}.save",),
            _fields(collection, need[name]),
        )
        for name in missing
    ]
    for name in (name for name in need if name in have and need[name] != have[name]):
        wants += _repair_record(collection, have[name], need[name])
    return wants


def _repair_record(collection: Collection, have: Any, need: Any) -> list[Want]:
    changed = [one for one in collection.attributes if getattr(have, one.name) != getattr(need, one.name)]
    if any(one in collection.editable for one in changed):
        return [_edited(collection, have, need)]
    return [
        Want(_place(collection, have), (f"{collection.key}.toggle", have[0], one.name))
        for one in changed
        if one.kind == "switch"
    ]


def _is_renamed(collection: Collection, have: Any, need: Any) -> bool:
    """Whether the form alone turns the one into the other."""
    written = {one.name: getattr(need, one.name) for one in collection.editable}
    return collection.attributes[0] in collection.editable and have._replace(**written) == need


def _edited(collection: Collection, have: Any, need: Any) -> Want:
    form = (f"{collection.screen}/form", have[0])
    return Want((*_place(collection, have), form), (f"{collection.key}.save",), _fields(collection, need))


def _place(collection: Collection, record: Any) -> Places:
    return (*collection.way(record), (collection.screen, record[0]))


def _fields(collection: Collection, record: Any) -> tuple[tuple[str, str], ...]:
    return tuple((one.name, getattr(record, one.name)) for one in collection.editable)


def _record(collection: Collection, data: Data, place: Place) -> Screen:
    record = named(data[collection.key], place.subject)
    if record is None:
        return Screen(f"No such {collection.noun}")
    shown = tuple(_attribute(collection, record, one) for one in collection.attributes[1:])
    edit = (button("Edit", "open", f"{collection.screen}/form", record[0]),) if collection.editable else ()
    delete = (button("Delete", "open", f"{collection.screen}/delete", record[0]),) if collection.can_delete else ()
    elements = (*shown, *collection.buttons(data, record), *edit, *delete)
    return Screen(record[0], elements, collection.more(data, record))


def _attribute(collection: Collection, record: Any, one: Attribute) -> Element:
    value = getattr(record, one.name)
    if one.kind == "switch":
        return switch(one.label, value, f"{collection.key}.toggle", record[0], one.name)
    return note(f"{one.label}: {value or 'none'}")


def _form(collection: Collection, data: Data, place: Place) -> Screen:
    record = named(data[collection.key], place.subject)
    lines = tuple(_input(collection, place, one, _written(record, one)) for one in collection.editable)
    title = f"Edit {collection.noun}" if place.subject else f"New {collection.noun}"
    return Screen(title, (*lines, button("Save", f"{collection.key}.save")))


def _input(collection: Collection, place: Place, one: Attribute, written: str) -> Element:
    if one.kind == "text":
        return field(place, one.name, one.label, written)
    effect = ("open", f"{collection.screen}/pick", one.name)
    return Element(one.label, "Spinner", effect, value=place.edit(one.name, written))


def _written(record: Any, one: Attribute) -> str:
    return str(getattr(record, one.name)) if record is not None else one.options[0] if one.options else ""


def _options(collection: Collection, data: Data, place: Place) -> Screen:
    attribute = next(one for one in collection.attributes if one.name == place.subject)
    options = tuple(Element(value, "RadioButton", ("pick", place.subject, value)) for value in attribute.options)
    return Screen(attribute.label, rows=options, kind="dialog")


def _delete_dialog(collection: Collection, data: Data, place: Place) -> Screen:
    return dialog(f"Delete {place.subject}?", "Delete", f"{collection.key}.delete", place.subject)


def _save(collection: Collection, state: State) -> State:
    """A form with a field that is not as it must be is refused: it stays. A new name renames."""
    place, records = state.stack[-1], state.data[collection.key]
    old = named(records, place.subject)
    held = {one.name: place.edit(one.name, _written(old, one)).strip() for one in collection.editable}
    if not all(one.kind == "choice" or re.fullmatch(one.pattern, held[one.name]) for one in collection.editable):
        return state
    new = collection.record(**held) if old is None else old._replace(**held)
    saved = state.store(**{collection.key: with_record(without_record(records, place.subject), new)})
    return saved.leave() if old is None or new[0] == old[0] else saved.leave(2)


def _toggle(collection: Collection, state: State, name: str, attribute: str) -> State:
    record = named(state.data[collection.key], name)
    changed = record._replace(**{attribute: not getattr(record, attribute)})
    return state.store(**{collection.key: with_record(state.data[collection.key], changed)})


def _delete(collection: Collection, state: State, name: str) -> State:
    return state.store(**{collection.key: without_record(state.data[collection.key], name)}).leave(2)

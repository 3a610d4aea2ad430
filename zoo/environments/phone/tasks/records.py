"""The pieces that tasks about records and preferences are made of: what is there, what is right, where to look."""

from collections.abc import Callable
from random import Random
from typing import Any

from zoo.environments.phone.collection import Collection, named, with_record, without_record
from zoo.environments.phone.preferences import Preferences
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.template import Changes, Look, Pool, Template, Values

__all__ = ["Given", "Step", "gone", "known", "look_at", "made", "preference_templates", "there", "together", "unlike"]

Given = str | bool | int | Callable[[Values], Any]
"""A field's value: as it is, a text with parameters in braces, or something made of the parameters."""
Step = Callable[[Data, Values], Changes]
"""What a template's `prepare` and `change` are."""


def known(collection: Collection, data: Data, name: str) -> Any:
    """The record of that name: what a task is about must exist, so what does not is drawn here."""
    return named(data[collection.key], name) or collection.draw(Random(f"{data['now']} {name}"), name)


def there(collection: Collection, **fields: Given) -> Step:
    """The record that the task names, with these fields; the parameter is called as the record's first field."""

    def step(data: Data, values: Values) -> Changes:
        record = known(collection, data, _name(collection, values))._replace(**_filled(fields, values))
        return {collection.key: with_record(without_record(data[collection.key], _name(collection, values)), record)}

    return step


def made(collection: Collection, **fields: Given) -> Step:
    """A record as the app's form makes it, with these fields."""

    def step(data: Data, values: Values) -> Changes:
        record = collection.record(_name(collection, values), **_filled(fields, values))
        return {collection.key: with_record(data[collection.key], record)}

    return step


def gone(collection: Collection) -> Step:
    """No record of the name that the task says."""
    return lambda data, values: {collection.key: without_record(data[collection.key], _name(collection, values))}


def together(*steps: Step) -> Step:
    """One step after the other."""

    def step(data: Data, values: Values) -> Changes:
        changes: Changes = {}
        for one in steps:
            changes |= one({**data, **changes}, values)
        return changes

    return step


def unlike(options: tuple[str, ...], parameter: str) -> Callable[[Values], str]:
    """Another option than the one that the task asks for."""
    return lambda values: options[(options.index(values[parameter]) + 1) % len(options)]


def look_at(collection: Collection, attribute: str) -> Callable[[Data, Values], Look]:
    """The line of a record's screen that shows a field."""
    label = next(one.label for one in collection.attributes if one.name == attribute)

    def look(data: Data, values: Values) -> Look:
        record = named(data[collection.key], _name(collection, values))
        fact = str(getattr(record, attribute))
        return Look((*collection.way(record), (collection.screen, record[0])), f"{label}: {fact}", fact)

    return look


def preference_templates(page: Preferences, app: str) -> tuple[Template, ...]:
    """Choose, switch and read on an app's page of settings."""
    root = page.screen.partition("/")[0]
    keys = {one.label.lower(): one for one in page.items}
    choices = tuple((label, option) for label, one in keys.items() for option in one.options)
    switches = tuple((label, state) for label, one in keys.items() if not one.options for state in ("on", "off"))

    def key(values: Values) -> str:
        return keys[values["setting"]].key

    def another(data: Data, values: Values) -> Changes:
        return {key(values): unlike(keys[values["setting"]].options, "value")(values)}

    def look(data: Data, values: Values) -> Look:
        return Look(page.way, f"{keys[values['setting']].label}: {values['value']}", values["value"])

    def chosen(data: Data, values: Values) -> Changes:
        return {key(values): values["value"]}

    choice = Pool(("setting", "value"), choices)
    return (
        Template(
            f"{root}.choose_setting",
            "operation",
            (f"In {app}, set the {{setting}} to {{value}}.", f"Change the {{setting}} of {app} to {{value}}."),
            (choice,),
            prepare=another,
            change=chosen,
        ),
        Template(
            f"{root}.switch_setting",
            "operation",
            (f"In {app}, turn {{state}} {{setting}}.", f"Switch {{setting}} {{state}} in {app}."),
            (Pool(("setting", "state"), switches),),
            prepare=lambda data, values: {key(values): values["state"] == "off"},
            change=lambda data, values: {key(values): values["state"] == "on"},
        ),
        Template(
            f"{root}.which_setting",
            "query",
            (f"What is the {{setting}} of {app} set to?", f"In {app}, which {{setting}} is set?"),
            (choice,),
            prepare=chosen,
            look=look,
            held_out=True,
        ),
    )


def _name(collection: Collection, values: Values) -> str:
    return values[collection.attributes[0].name]


def _filled(fields: dict[str, Given], values: Values) -> dict[str, Any]:
    return {name: _value(given, values) for name, given in fields.items()}


def _value(given: Given, values: Values) -> Any:
    if callable(given):
        return given(values)
    return given.format(**values) if isinstance(given, str) else given

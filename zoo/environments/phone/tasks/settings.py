"""Tasks in Settings: switches, choices, the device's name, and facts to read."""

from zoo.environments.phone.apps.settings import CHOICES, GROUPS, SWITCHES
from zoo.environments.phone.state import Data
from zoo.environments.phone.tasks.template import Changes, Look, Pool, Template, Values, pool
from zoo.environments.phone.values import BATTERY_LEVELS, DEVICE_NAMES, STORAGES

__all__ = ["TEMPLATES"]

_SWITCH = pool("setting", tuple(SWITCHES))
_SWITCHES = tuple(SWITCHES)
_PAIR = Pool(("first", "second"), tuple(zip(_SWITCHES, (*_SWITCHES[5:], *_SWITCHES[:5]), strict=True)))
_CHOICE = Pool(
    ("setting", "value"), tuple((name, value) for name, (_, options) in CHOICES.items() for value in options)
)
_LABELS = {**SWITCHES, **{name: label for name, (label, _) in CHOICES.items()}}


def _labelled(values: Values) -> Values:
    return {name: _LABELS.get(value, value) for name, value in values.items()}


def _in_lower_case(values: Values) -> Values:
    """In the middle of a sentence: the ringtone, the font size."""
    return {**values, "setting": _LABELS[values["setting"]].lower()}


def _another_choice(data: Data, values: Values) -> Changes:
    key = f"settings.{values['setting']}"
    options = CHOICES[values["setting"]][1]
    if data[key] != values["value"]:
        return {}
    return {key: options[(options.index(values["value"]) + 1) % len(options)]}


def _chosen(data: Data, values: Values) -> Changes:
    return {f"settings.{values['setting']}": values["value"]}


def _look(setting: str, label: str, fact: str) -> Look:
    title = next(title for title, names in GROUPS.items() if setting in names)
    return Look((("settings", ""), ("settings/group", title)), label, fact)


TEMPLATES = (
    Template(
        "settings.switch_on",
        "operation",
        ("Turn on {setting}.", "Switch {setting} on.", "Please enable {setting}."),
        (_SWITCH,),
        prepare=lambda data, values: {f"settings.{values['setting']}": False},
        change=lambda data, values: {f"settings.{values['setting']}": True},
        show=_labelled,
    ),
    Template(
        "settings.switch_off",
        "operation",
        ("Turn off {setting}.", "Switch {setting} off.", "Please disable {setting}."),
        (_SWITCH,),
        prepare=lambda data, values: {f"settings.{values['setting']}": True},
        change=lambda data, values: {f"settings.{values['setting']}": False},
        show=_labelled,
    ),
    Template(
        "settings.switch_two",
        "operation",
        ("Turn on {first} and turn off {second}.", "Switch {first} on and {second} off."),
        (_PAIR,),
        prepare=lambda data, values: {f"settings.{values['first']}": False, f"settings.{values['second']}": True},
        change=lambda data, values: {f"settings.{values['first']}": True, f"settings.{values['second']}": False},
        show=_labelled,
        held_out=True,
    ),
    Template(
        "settings.choose",
        "operation",
        ("Set the {setting} to {value}.", "Change the {setting} to {value}.", "Make {value} the {setting}."),
        (_CHOICE,),
        prepare=_another_choice,
        change=_chosen,
        show=_in_lower_case,
    ),
    Template(
        "settings.rename_device",
        "operation",
        ("Rename this phone to {name}.", "Set the device name to {name}.", "Call this device {name}."),
        (pool("name", DEVICE_NAMES),),
        change=lambda data, values: {"settings.device_name": values["name"]},
    ),
    Template(
        "settings.battery_level",
        "query",
        ("What is the battery level?", "How full is the battery?"),
        (pool("level", BATTERY_LEVELS),),
        prepare=lambda data, values: {"settings.battery_level": values["level"]},
        look=lambda data, values: _look("battery_level", f"Battery level: {values['level']}", values["level"]),
    ),
    Template(
        "settings.free_storage",
        "query",
        ("How much storage is free?", "What is the free storage of this phone?"),
        (pool("storage", STORAGES),),
        prepare=lambda data, values: {"settings.free_storage": values["storage"]},
        look=lambda data, values: _look("free_storage", f"Free storage: {values['storage']}", values["storage"]),
    ),
    Template(
        "settings.which_choice",
        "query",
        ("Which {setting} is set?", "What is the {setting} set to?"),
        (_CHOICE,),
        prepare=_chosen,
        look=lambda data, values: _look(
            values["setting"], f"{_LABELS[values['setting']]}: {values['value']}", values["value"]
        ),
        show=_in_lower_case,
    ),
    Template(
        "settings.is_on",
        "query",
        ("Is {setting} on? Answer Yes or No.", "Is {setting} turned on? Answer Yes or No."),
        (_SWITCH, Pool(("state",), (("Yes",), ("No",)), closed=True)),
        prepare=lambda data, values: {f"settings.{values['setting']}": values["state"] == "Yes"},
        look=lambda data, values: _look(values["setting"], SWITCHES[values["setting"]], values["state"]),
        show=_labelled,
    ),
)

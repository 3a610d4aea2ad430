"""The Settings app: groups of switches and choices, the device's name, and facts to read."""

from types import MappingProxyType

from zoo.environments.phone.app import App, Want
from zoo.environments.phone.screen import Element, Screen, button, field, note, row, switch
from zoo.environments.phone.state import Data, Place, State

__all__ = ["APP", "CHOICES", "FACTS", "GROUPS", "SWITCHES"]

GROUPS = MappingProxyType(
    {
        "Network": ("wifi", "bluetooth", "mobile_data", "airplane_mode", "hotspot"),
        "Display": ("dark_theme", "auto_rotate", "brightness", "font_size"),
        "Sound": ("vibration", "do_not_disturb", "ringtone", "volume"),
        "Battery": ("battery_level", "battery_saver", "adaptive_charging"),
        "Privacy": ("location", "camera_access", "screen_lock"),
        "About phone": ("device_name", "android_version", "free_storage"),
    }
)
"""Title of a screen -> the settings on it."""

SWITCHES = MappingProxyType(
    {
        "wifi": "Wi-Fi",
        "bluetooth": "Bluetooth",
        "mobile_data": "Mobile data",
        "airplane_mode": "Airplane mode",
        "hotspot": "Hotspot",
        "dark_theme": "Dark theme",
        "auto_rotate": "Auto-rotate",
        "vibration": "Vibration",
        "do_not_disturb": "Do not disturb",
        "battery_saver": "Battery saver",
        "adaptive_charging": "Adaptive charging",
        "location": "Location",
        "camera_access": "Camera access",
    }
)
"""Setting that is on or off -> its label."""

CHOICES = MappingProxyType(
    {
        "brightness": ("Brightness", ("Low", "Medium", "High", "Maximum")),
        "font_size": ("Font size", ("Small", "Default", "Large", "Huge")),
        "ringtone": ("Ringtone", ("Chime", "Aurora", "Pulse", "Marimba", "Drift")),
        "volume": ("Volume", ("Silent", "Quiet", "Normal", "Loud")),
        "screen_lock": ("Screen lock", ("None", "PIN", "Pattern", "Fingerprint")),
    }
)
"""Setting with a few values -> its label and the values."""

FACTS = MappingProxyType(
    {"battery_level": "Battery level", "android_version": "Android version", "free_storage": "Free storage"}
)
"""What can be read and not changed -> its label."""


def _root(data: Data, place: Place) -> Screen:
    return Screen("Settings", tuple(row(title, "open", "settings/group", title) for title in GROUPS))


def _group(data: Data, place: Place) -> Screen:
    return Screen(place.subject, tuple(_line(data, name) for name in GROUPS[place.subject]))


def _line(data: Data, name: str) -> Element:
    key = f"settings.{name}"
    if name in SWITCHES:
        return switch(SWITCHES[name], data[key], "toggle", key)
    if name in CHOICES:
        return row(f"{CHOICES[name][0]}: {data[key]}", "open", "settings/choice", name)
    if name in FACTS:
        return note(f"{FACTS[name]}: {data[key]}")
    return row(f"Device name: {data[key]}", "open", "settings/device-name")


def _choice(data: Data, place: Place) -> Screen:
    title, values = CHOICES[place.subject]
    key = f"settings.{place.subject}"
    picked = data[key]
    return Screen(
        title,
        tuple(
            Element(value, "RadioButton", ("choose", key, value), status="checked" if value == picked else "")
            for value in values
        ),
        kind="dialog",
    )


def _device_name(data: Data, place: Place) -> Screen:
    text = field(place, "device_name", "Name", data["settings.device_name"])
    return Screen("Device name", (text, button("OK", "settings.rename")), kind="dialog")


def _rename(state: State) -> State:
    """An empty name is refused: the dialog stays."""
    name = state.stack[-1].edit("device_name", state.data["settings.device_name"]).strip()
    return state.store(**{"settings.device_name": name}).leave() if name else state


def _repair(data: Data, goal: Data) -> list[Want]:
    wants = []
    for title, names in GROUPS.items():
        for name in names:
            key = f"settings.{name}"
            if data[key] != goal[key]:
                wants.append(_want(title, name, goal[key]))
    return wants


def _want(title: str, name: str, value: str | bool) -> Want:
    group = (("settings", ""), ("settings/group", title))
    if name in SWITCHES:
        return Want(group, ("toggle", f"settings.{name}"))
    if name in CHOICES:
        return Want((*group, ("settings/choice", name)), ("choose", f"settings.{name}", str(value)))
    fields = (("device_name", str(value)),)
    return Want((*group, ("settings/device-name", "")), ("settings.rename",), fields)


APP = App(
    "Settings",
    {"settings": _root, "settings/group": _group, "settings/choice": _choice, "settings/device-name": _device_name},
    {"settings.rename": _rename},
    _repair,
)

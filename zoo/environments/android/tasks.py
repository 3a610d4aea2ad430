"""Things to do in Android's Settings app whose result a shell command tells, so that the state decides and not a text.

Written for stock Android 13 (AndroidLab's Pixel 7 Pro, API 33). Every template says how the device is put into a state
where the task is not done yet, and what a command prints when it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from zoo.environments import Kind, Split, Task

__all__ = ["SETTINGS_APP", "TEMPLATES", "Template", "draw_tasks", "template_of"]

SETTINGS_APP = "com.android.settings"


@dataclass(frozen=True)
class Template:
    """One kind of task; `{value}` in its texts is the parameter."""

    instruction: str
    command: str
    """Tells the state, or for a query what is the answer."""
    values: tuple[tuple[str, str, str], ...]
    """(in the instruction, what the command prints when it is done, the shell commands that put it elsewhere)."""
    kind: Kind = "operation"
    held_out: bool = False


def _on_off(instruction: str, command: str, setting: str, on: str, off: str) -> Template:
    """A switch: `setting` with `on` or `off` sets it."""
    values = (("on", on, f"{setting} {off}"), ("off", off, f"{setting} {on}"))
    return Template(instruction, command, values)


_TIMEOUTS = {"15 seconds": 15, "30 seconds": 30, "1 minute": 60, "2 minutes": 120, "5 minutes": 300, "10 minutes": 600}

TEMPLATES: dict[str, Template] = {
    "settings.rotate": _on_off(
        "Turn auto-rotate {value}.",
        "settings get system accelerometer_rotation",
        "settings put system accelerometer_rotation",
        "1",
        "0",
    ),
    "settings.adaptive": _on_off(
        "Turn adaptive brightness {value}.",
        "settings get system screen_brightness_mode",
        "settings put system screen_brightness_mode",
        "1",
        "0",
    ),
    "settings.clock24": _on_off(
        "Turn the 24-hour format {value}.",
        "settings get system time_12_24",
        "settings put system time_12_24",
        "24",
        "12",
    ),
    "settings.timeout": Template(
        "Let the screen turn off after {value}.",
        "settings get system screen_off_timeout",
        tuple(
            (said, str(seconds * 1000), f"settings put system screen_off_timeout {45 * 1000}")
            for said, seconds in _TIMEOUTS.items()
        ),
    ),
    "settings.wifi": Template(
        "Turn Wi-Fi {value}.",
        "settings get global wifi_on",
        (("on", "1", "svc wifi disable"), ("off", "0", "svc wifi enable")),
    ),
    "settings.version": Template(
        "Which version of Android is this?", "getprop ro.build.version.release", (("", "", ""),), "query"
    ),
    "settings.bluetooth": Template(
        "Turn Bluetooth {value}.",
        "settings get global bluetooth_on",
        (("on", "1", "svc bluetooth disable"), ("off", "0", "svc bluetooth enable")),
        held_out=True,
    ),
    "settings.model": Template(
        "Which model is this phone?", "getprop ro.product.model", (("", "", ""),), "query", held_out=True
    ),
}


def template_of(task: Task) -> Template:
    """The template that a task was drawn from."""
    return TEMPLATES[task.template]


def draw_tasks(split: Split, count: int, seed: int) -> Sequence[Task]:
    """So many distinct tasks. The last value of a template is held out from `train`, where it has several.

    Raises ValueError, with the maximum, when the split does not have so many.
    """
    tasks = [
        _task(name, at, split)
        for name, template in TEMPLATES.items()
        for at in range(len(template.values))
        if _split_of(template, at) == split
    ]
    if count > len(tasks):
        raise ValueError(f"{split} has {len(tasks)} tasks; ask for at most so many")
    Random(f"android {split} {seed}").shuffle(tasks)
    return tasks[:count]


def _split_of(template: Template, at: int) -> Split:
    if template.held_out:
        return "held-out-templates"
    last = len(template.values) > 1 and at == len(template.values) - 1
    return "held-out-parameters" if last else "train"


def _task(name: str, at: int, split: Split) -> Task:
    template = TEMPLATES[name]
    said, expected, elsewhere = template.values[at]
    parameters = (("value", said), ("expected", expected), ("elsewhere", elsewhere))
    instruction = template.instruction.format(value=said)
    return Task(f"android.{name}({said})", name, template.kind, SETTINGS_APP, instruction, parameters, split, 0)

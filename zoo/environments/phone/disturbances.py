"""What may come between an agent and its task on the larger phone: drawn from the task's seed.

Each is over once it is dealt with, none changes what the phone stores, and none opens a shorter way: a notification is
of an app that the task does not need.
"""

from collections.abc import Set
from random import Random
from types import MappingProxyType

from zoo.environments.phone.apps import APPS
from zoo.environments.phone.state import Disturbance, Place
from zoo.environments.phone.values import NAMES, TEXTS

__all__ = ["KINDS", "draw_disturbances"]

KINDS = ("notification", "permission", "slow", "resumed", "elsewhere")
"""`elsewhere` is none that has to be dealt with: the episode begins in an app, not at the launcher."""

_SHARE = 0.5
"""Of the tasks that are disturbed."""
_PERMISSIONS = ("your location", "your contacts", "the microphone", "the camera", "notifications", "your photos")
_INNER = MappingProxyType(
    {
        "settings": Place("settings/group", "Sound"),
        "clock": Place("clock/timer"),
        "contacts": Place("contacts/form"),
        "calendar": Place("calendar/settings"),
        "finance": Place("finance/spending"),
        "maps": Place("maps/kinds"),
        "music": Place("music/songs"),
        "reader": Place("reader/settings"),
        "meetings": Place("meetings/settings"),
    }
)
"""App -> the inner screen on which it may have been left open. Messages has none that would not shorten a way."""


def draw_disturbances(seed: int, needed: Set[str]) -> tuple[tuple[Place, ...], tuple[Disturbance, ...]]:
    """What is open at the beginning, and what disturbs: nothing in half of the seeds, one or two things in the others.

    `needed` are the apps that the task leads through.
    """
    rng = Random(f"disturbances {seed}")
    if rng.random() >= _SHARE:
        return (), ()
    kinds = rng.sample(KINDS, rng.choice((1, 1, 2)))
    app = rng.choice(sorted(needed))
    others = [name for name in APPS if name not in needed]
    stack: tuple[Place, ...] = ()
    drawn = []
    for kind in kinds:
        match kind:
            case "notification":
                drawn.append(Disturbance(kind, rng.choice(others), f"{rng.choice(NAMES)}, {rng.choice(TEXTS).lower()}"))
            case "permission":
                drawn.append(Disturbance(kind, app, rng.choice(_PERMISSIONS)))
            case "slow":
                drawn.append(Disturbance(kind, app))
            case "resumed" if app in _INNER:
                drawn.append(Disturbance(kind, app, places=(Place(app), _INNER[app])))
            case "elsewhere":
                elsewhere = rng.choice([name for name in others if name in _INNER])
                stack = (Place(elsewhere), _INNER[elsewhere])
    return stack, tuple(drawn)

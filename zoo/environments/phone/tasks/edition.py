"""Which phones there are: their apps, their content, their tasks.

Two: the phone with four apps, whose tasks never change, since what was trained on them is compared over time; and the
phone with ten apps, which has the same four and disturbs.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from zoo.environments.phone.tasks import (
    across,
    calendar,
    clock,
    combined,
    contacts,
    finance,
    maps,
    meetings,
    messages,
    music,
    reader,
    settings,
)
from zoo.environments.phone.tasks.template import Template
from zoo.environments.phone.world import draw_phone, draw_ten_app_phone

__all__ = ["FOUR", "TEN", "Edition"]


class Edition(NamedTuple):
    """One kind of phone."""

    templates: Mapping[str, Template]
    """`app.what` -> the template."""
    draw: Callable[[int], dict[str, Any]]
    """Seed -> the content of a phone."""
    held_out_app: str = ""
    """The app whose templates make the split `held-out-app`; none of them is in another split."""
    disturbs: bool = False
    """Whether something comes between in half of the tasks, see `zoo.environments.phone.disturbances`."""


_SHARED = (*settings.TEMPLATES, *clock.TEMPLATES, *contacts.TEMPLATES, *messages.TEMPLATES)
_MORE = (
    *calendar.TEMPLATES,
    *finance.TEMPLATES,
    *maps.TEMPLATES,
    *music.TEMPLATES,
    *reader.TEMPLATES,
    *meetings.TEMPLATES,
    *combined.TEMPLATES,
    *across.TEMPLATES,
)

FOUR = Edition({template.name: template for template in _SHARED}, draw_phone)
TEN = Edition({template.name: template for template in (*_SHARED, *_MORE)}, draw_ten_app_phone, "meetings", True)

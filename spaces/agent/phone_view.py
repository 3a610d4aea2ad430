"""The phone as HTML: its screen in a frame, a button over everything that can be touched, and where an action lands.

The picture lies inside the page as data, so that nothing is written to disk for it. Whatever comes from a model or a
visitor is escaped.
"""

import base64
from functools import lru_cache
from html import escape
from io import BytesIO
from typing import Any

from zoo.actions import Action
from zoo.environments.phone.layout import HEIGHT, NAVIGATION, WIDTH, Box, Layout

__all__ = ["phone", "picture_data"]

_NAVIGATION_TOP = HEIGHT - NAVIGATION
_BACK = Box(60, _NAVIGATION_TOP, 210, HEIGHT)
_HOME = Box(210, _NAVIGATION_TOP, 330, HEIGHT)
_MIDDLE = Box(40, 520, WIDTH - 40, 640)
_BUBBLE_CHARACTERS = 90


def phone(environment: Any, action: Action | None = None, *, touchable: bool = True, thinking: bool = False) -> str:
    """The screen, with what `action` does on it. `touchable`: whether a visitor may touch it now."""
    layout: Layout = environment.layout()
    said = escape(f"The phone shows {layout.screen.title}", quote=True)
    spots = "".join(_spots(layout)) if touchable else ""
    return (
        f'<div class="phone{" thinking" if thinking else ""}"><div class="screen">'
        f'<img src="{picture_data(environment)}" alt="{said}" width="{WIDTH}" height="{HEIGHT}" draggable="false">'
        f"{_mark(layout, action) if action else ''}{spots}</div></div>"
    )


def picture_data(environment: Any) -> str:
    """The screen as the address of a PNG."""
    return _encoded(environment.state, type(environment))


@lru_cache(maxsize=512)
def _painted(key: "_State") -> str:
    from zoo.environments.phone.screenshot import paint

    data = BytesIO()
    paint(key.state).save(data, "PNG", compress_level=3)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"


class _State:
    """A state of the phone as a key: states are plain values, but hold a dict."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _State) and self.state == other.state

    def __hash__(self) -> int:
        return hash((self.state.stack, self.state.disturbances, self.state.data["now"]))


def _encoded(state: Any, edition: type) -> str:
    return _painted(_State(state))


def _spots(layout: Layout) -> list[str]:
    """One button for each element with a number, and the bar's two."""
    elements = [one for one in layout.elements if one.on_tap or one.role]
    found = []
    for number, (element, box) in enumerate(zip(elements, layout.touchable, strict=True), start=1):
        if element.role == "ListView":
            found += _scrollers(number, box)
            continue
        name = element.label if element.value is None else f"{element.label}: {element.value or 'empty'}"
        state = f", {element.status}" if element.status else ""
        found.append(_spot(box, f'data-call="tap" data-number="{number}"', f"Tap {name}{state}"))
    return [
        *found,
        _spot(_BACK, 'data-call="back"', "Back"),
        _spot(_HOME, 'data-call="home"', "Home"),
    ]


def _scrollers(number: int, box: Box) -> list[str]:
    """A list is scrolled by two handles at its edge, over its rows."""
    edge = box.right - 56
    upper = Box(edge, box.top, box.right, box.top + 44)
    lower = Box(edge, box.bottom - 44, box.right, box.bottom)
    swipe = f'data-call="swipe" data-number="{number}"'
    return [
        _spot(upper, f'{swipe} data-direction="down"', "Scroll back", "scroll up"),
        _spot(lower, f'{swipe} data-direction="up"', "Scroll on", "scroll down"),
    ]


def _spot(box: Box, data: str, label: str, kind: str = "") -> str:
    quoted = escape(label, quote=True)
    return f'<button type="button" class="spot {kind}" style="{_style(box)}" {data} aria-label="{quoted}"></button>'


def _mark(layout: Layout, action: Action) -> str:
    """Where an action lands: a ring on what is touched, the text where it is typed, an arrow for a swipe."""
    match action.name:
        case "tap" | "long_press" | "swipe":
            number = int(action.arguments[0])
            if number > len(layout.touchable):
                return _bubble(_MIDDLE, f"{action.name}({number}): nothing there", "lost")
            box = layout.touchable[number - 1]
            kind = action.name if action.name != "swipe" else f"swipe {escape(str(action.arguments[1]), quote=True)}"
            return f'{_outline(box)}<span class="touch {kind}" style="{_point(box)}" aria-hidden="true"></span>'
        case "text":
            return _bubble(_focused(layout), f"“{action.arguments[0]}”", "typed")
        case "finish":
            return _bubble(_MIDDLE, f"Finished: {action.arguments[0]}", "finish")
        case "wait":
            return _bubble(_MIDDLE, f"Waits {action.arguments[0]} s", "finish")
        case "back" | "home":
            box = _BACK if action.name == "back" else _HOME
            return f'<span class="touch" style="{_point(box)}" aria-hidden="true"></span>'
    return ""


def _focused(layout: Layout) -> Box:
    pairs = zip(layout.boxes, layout.elements, strict=True)
    return next((box for box, element in pairs if element.status == "focused"), _MIDDLE)


def _outline(box: Box) -> str:
    return f'<span class="outline" style="{_style(box)}" aria-hidden="true"></span>'


def _bubble(box: Box, text: str, kind: str) -> str:
    shown = text if len(text) <= _BUBBLE_CHARACTERS else f"{text[:_BUBBLE_CHARACTERS]}…"
    return f'<span class="bubble {kind}" style="top:{100 * box.top / HEIGHT:.2f}%">{escape(shown)}</span>'


def _style(box: Box) -> str:
    left, top = 100 * box.left / WIDTH, 100 * box.top / HEIGHT
    width, height = 100 * (box.right - box.left) / WIDTH, 100 * (box.bottom - box.top) / HEIGHT
    return f"left:{left:.2f}%;top:{top:.2f}%;width:{width:.2f}%;height:{height:.2f}%"


def _point(box: Box) -> str:
    x, y = box.centre
    return f"left:{100 * x / WIDTH:.2f}%;top:{100 * y / HEIGHT:.2f}%"

"""Where everything on a screen lies, in pixels of a display of 540 x 1170: what a tap hits, and what is drawn where.

Pure: no picture is needed to know it. The display is narrow on purpose: a model that sees pictures pays by the pixel.
"""

from typing import NamedTuple

from zoo.environments.phone.machine import typing, visible
from zoo.environments.phone.screen import Element, Screen
from zoo.environments.phone.state import State

__all__ = ["HEIGHT", "NAVIGATION", "STATUS_BAR", "TITLE_BAR", "WIDTH", "Box", "Layout", "arrange", "is_floating"]

WIDTH, HEIGHT = 540, 1170
STATUS_BAR, TITLE_BAR, NAVIGATION = 40, 84, 44
"""Heights: the clock's bar, the bar with the title, the bar with back and home."""
_KEYBOARD = 336
_MARGIN = 16
_COLUMNS, _ICON = 4, (127, 150)
_ROW_HEIGHTS = {"": 80, "Switch": 80, "Button": 72, "EditText": 88, "Spinner": 88, "RadioButton": 68, "ListView": 0}
_NOTE = 64
_DIALOG = 452
_NOTICE_END = 172
"""Where the card of a notification ends."""


class Box(NamedTuple):
    """A rectangle; right and bottom lie outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def centre(self) -> tuple[int, int]:
        """Where a tap on it lands."""
        return (self.left + self.right) // 2, (self.top + self.bottom) // 2


class Layout(NamedTuple):
    """One screen, arranged."""

    screen: Screen
    elements: tuple[Element, ...]
    """What `visible` shows, in its order."""
    boxes: tuple[Box, ...]
    """Of each element; of a list, the part of the display that it fills."""
    dialog: Box | None = None
    keyboard: Box | None = None
    bottom: int = HEIGHT - NAVIGATION
    """Where the content ends."""
    filled: int = 0
    """Where the last element ends."""

    @property
    def touchable(self) -> tuple[Box, ...]:
        """The boxes of what has a number, in its order: the first is number 1."""
        return tuple(box for box, one in zip(self.boxes, self.elements, strict=True) if one.on_tap or one.role)


def arrange(state: State) -> Layout:
    """The visible screen with a place for everything."""
    screen, elements = visible(state)
    bottom = HEIGHT - NAVIGATION - (_KEYBOARD if typing(state) else 0)
    keyboard = Box(0, bottom, WIDTH, HEIGHT - NAVIGATION) if typing(state) else None
    notices = sum(one.on_tap[:1] == ("follow",) for one in elements)
    banner, content = elements[: 2 * notices], elements[2 * notices :]
    if screen.kind == "home":
        boxes = _icons(len(content), bottom)
    elif screen.kind == "dialog":
        return _dialog(screen, banner, content, bottom, keyboard)
    else:
        # A notification may cover the title; what has a number begins below it, so that its number can be seen.
        boxes = _column(content, (_NOTICE_END if notices else STATUS_BAR + TITLE_BAR) + 8, bottom)
    filled = max((box.bottom for box, one in zip(boxes, content, strict=True) if not is_floating(one)), default=0)
    return Layout(screen, elements, (*_banner(notices), *boxes), None, keyboard, bottom, filled)


def is_floating(element: Element) -> bool:
    """Whether it is the round-cornered button that floats over the end of a list."""
    return (
        element.role == "Button"
        and element.on_tap[0] == "open"
        and element.label.startswith(("Add ", "New "))
        and (element.on_tap[1].rpartition("/")[2] in ("form", "new", "add-city"))
        and len(element.on_tap) == 2
    )


def _banner(notices: int) -> tuple[Box, ...]:
    """A notification hangs from the top; its button lies in its lower right corner."""
    if not notices:
        return ()
    return Box(12, 48, WIDTH - 12, 116), Box(WIDTH - 152, 116, WIDTH - 12, 164)


def _icons(count: int, bottom: int) -> tuple[Box, ...]:
    width, height = _ICON
    first = bottom - 30 - height * -(-count // _COLUMNS)
    left = (WIDTH - _COLUMNS * width) // 2
    return tuple(
        Box(left + column * width, first + line * height, left + (column + 1) * width, first + (line + 1) * height)
        for line, column in (divmod(at, _COLUMNS) for at in range(count))
    )


def _height(element: Element) -> int:
    if is_floating(element):
        return 0
    return _ROW_HEIGHTS[element.role] if element.on_tap or element.role else _NOTE


def _column(elements: tuple[Element, ...], top: int, bottom: int, left: int = 0, right: int = WIDTH) -> tuple[Box, ...]:
    """One below the other, closer together when the display is too short."""
    wanted = sum(map(_height, elements))
    scale = min(1.0, (bottom - top) / wanted) if wanted else 1.0
    boxes, edge, listed = [], float(top), -1
    for at, element in enumerate(elements):
        if is_floating(element):
            boxes.append(Box(right - 80 - 13 * len(element.label) - _MARGIN, bottom - 88, right - _MARGIN, bottom - 20))
            continue
        listed = at if element.role == "ListView" else listed
        following = edge + _height(element) * scale
        boxes.append(Box(left, round(edge), right, round(following)))
        edge = following
    if listed >= 0:
        boxes[listed] = boxes[listed]._replace(bottom=round(edge))
    return tuple(boxes)


def _dialog(
    screen: Screen, banner: tuple[Element, ...], content: tuple[Element, ...], bottom: int, keyboard: Box | None
) -> Layout:
    """In the middle, over the screen below; the buttons at its end stand side by side."""
    plain = tuple(one for one in content if one.role != "Button")
    buttons = len(content) - len(plain)
    height = 96 + sum(map(_height, plain)) + (80 if buttons else 16)
    left, top = (WIDTH - _DIALOG) // 2, max(STATUS_BAR + 8, (bottom - height) // 2)
    box = Box(left, top, left + _DIALOG, min(bottom - 8, top + height))
    rows = _column(plain, box.top + 96, box.bottom - (80 if buttons else 12), box.left, box.right)
    width = (_DIALOG - 2 * _MARGIN) // max(2, buttons)
    ends = tuple(
        Box(
            box.right - _MARGIN - (at + 1) * width + 6,
            box.bottom - 72,
            box.right - _MARGIN - at * width,
            box.bottom - 16,
        )
        for at in range(buttons)
    )
    waiting, closing = iter(rows), iter(ends)
    boxes = tuple(next(closing) if one.role == "Button" else next(waiting) for one in content)
    return Layout(screen, (*banner, *content), (*_banner(len(banner) // 2), *boxes), box, keyboard, bottom, box.bottom)

"""What elements look like: rows, notes, switches, choices, fields and buttons, each drawn into its box."""

from collections.abc import Callable

from zoo.environments.phone.layout import WIDTH, Box, is_floating
from zoo.environments.phone.screen import Element
from zoo.environments.phone.screenshot import icons, pieces
from zoo.environments.phone.screenshot.pieces import BODY, SIDE, SMALL, Canvas, Colour, mixed, paste, rounded, text

__all__ = ["draw_element"]

_RED: Colour = (190, 44, 44)
_ENDS = frozenset({"Save", "Send", "OK", "Start", "Join now", "Go", "Play", "Read", "Allow", "Join", "Directions"})
"""Buttons that are filled: what a screen is for."""
_RISKS = frozenset({"Delete", "Remove", "Stop", "Leave"})


def draw_element(canvas: Canvas, element: Element, box: Box) -> None:
    """Draw one element of a screen."""
    _DRAWN.get(element.role, _row)(canvas, element, box)


def _row(canvas: Canvas, element: Element, box: Box) -> None:
    if not element.on_tap:
        return _note(canvas, element, box)
    draw, colours, middle = canvas.draw, canvas.colours, box.centre[1]
    if element.status == "selected":
        inside = (box.left + 10, box.top + 4, box.right - 10, box.bottom - 4)
        draw.rounded_rectangle(inside, 18, mixed(colours.ground, canvas.accent, 0.2))
        paste(canvas.picture, icons.sign("check", 28, canvas.accent), box.right - 52, middle - 14)
    name, _, value = element.label.partition(": ")
    paste(canvas.picture, icons.letter(name, 44), box.left + SIDE, middle - 22)
    left, width = box.left + SIDE + 62, box.right - box.left - 150
    text(draw, (left, middle - (13 if value else 0)), name, BODY, colours.ink, width=width)
    if value:
        text(draw, (left, middle + 15), value, SMALL + 1, colours.faint, width=width)
    if element.on_tap[0] == "open":
        paste(canvas.picture, icons.sign("open", 24, colours.faint), box.right - 44, middle - 12)
    draw.line((left, box.bottom - 1, box.right - SIDE, box.bottom - 1), colours.line)
    return None


def _note(canvas: Canvas, element: Element, box: Box) -> None:
    name, _, value = element.label.partition(": ")
    if canvas.screen == "messages/thread":
        return _bubble(canvas, name, value, box)
    if not value:
        text(canvas.draw, (box.left + SIDE, box.centre[1]), name, BODY + 2, canvas.colours.ink, width=WIDTH - 60)
        return None
    text(canvas.draw, (box.left + SIDE, box.centre[1] - 13), name, SMALL, canvas.colours.faint)
    text(canvas.draw, (box.left + SIDE, box.centre[1] + 13), value, BODY, canvas.colours.ink, width=WIDTH - 60)
    return None


def _bubble(canvas: Canvas, sender: str, words: str, box: Box) -> None:
    """A message: the owner's to the right."""
    mine = sender == "You"
    width = min(WIDTH - 110, round(pieces.font(BODY).getlength(words)) + 40)
    left = box.right - SIDE - width if mine else box.left + SIDE
    ground, ink = (canvas.accent, (255, 255, 255)) if mine else (canvas.colours.line, canvas.colours.ink)
    paste(canvas.picture, rounded(width, box.bottom - box.top - 10, 20, ground), left, box.top + 5)
    text(canvas.draw, (left + 20, box.centre[1]), words, BODY, ink, width=width - 30)


def _switch(canvas: Canvas, element: Element, box: Box) -> None:
    colours, middle = canvas.colours, box.centre[1]
    text(canvas.draw, (box.left + SIDE, middle), element.label, BODY, colours.ink, width=box.right - box.left - 130)
    track = icons.toggle(element.status == "checked", canvas.accent, colours.ground)
    paste(canvas.picture, track, box.right - SIDE - 56, middle - 28)
    canvas.draw.line((box.left + SIDE, box.bottom - 1, box.right - SIDE, box.bottom - 1), colours.line)


def _radio(canvas: Canvas, element: Element, box: Box) -> None:
    dot = icons.radio(element.status == "checked", canvas.accent, canvas.colours.faint)
    paste(canvas.picture, dot, box.left + SIDE, box.centre[1] - 15)
    text(canvas.draw, (box.left + SIDE + 48, box.centre[1]), element.label, BODY, canvas.colours.ink)


def _input(canvas: Canvas, element: Element, box: Box) -> None:
    """A text field, or with an arrow the field of a choice."""
    colours, focused = canvas.colours, element.status == "focused"
    left, top, right, bottom = box.left + SIDE - 4, box.top + 12, box.right - SIDE + 4, box.bottom - 6
    edge = canvas.accent if focused else mixed(colours.line, colours.faint, 0.4)
    line = 3 if focused else 2
    paste(canvas.picture, rounded(right - left, bottom - top, 12, colours.surface, edge, line), left, top)
    middle, value = (top + bottom) // 2, element.value or ""
    name = canvas.accent if focused else colours.faint
    if not value and not focused:
        text(canvas.draw, (left + 18, middle), element.label, BODY, name)
    else:
        width = pieces.font(SMALL).getlength(element.label)
        canvas.draw.rectangle((left + 12, top - 2, left + 24 + width, top + 4), colours.ground)
        text(canvas.draw, (left + 18, top + 1), element.label, SMALL, name)
        text(canvas.draw, (left + 18, middle + 3), value, BODY, colours.ink, width=right - left - 60)
    if focused:
        cursor = left + 20 + min(right - left - 60, pieces.font(BODY).getlength(value))
        canvas.draw.line((cursor, middle - 13, cursor, middle + 17), canvas.accent, 2)
    if element.role == "Spinner":
        paste(canvas.picture, icons.sign("down", 26, colours.faint), right - 42, middle - 13)


def _button(canvas: Canvas, element: Element, box: Box) -> None:
    colours = canvas.colours
    if is_floating(element):
        return _floating(canvas, element, box)
    left, top, right, bottom = box.left + SIDE - 8, box.top + 6, box.right - SIDE + 8, box.bottom - 6
    if box.right - box.left < WIDTH - 100:
        left, right = box.left, box.right
    fill, ink = mixed(colours.ground, canvas.accent, 0.16), canvas.accent
    if element.label in _ENDS:
        fill, ink = canvas.accent, (255, 255, 255)
    elif element.label in _RISKS:
        fill, ink = mixed(colours.ground, _RED, 0.14), mixed(_RED, colours.ink, 0.15)
    paste(canvas.picture, rounded(right - left, bottom - top, (bottom - top) // 2, fill), left, top)
    text(canvas.draw, ((left + right) // 2, (top + bottom) // 2), element.label, BODY, ink, "mm")
    return None


def _floating(canvas: Canvas, element: Element, box: Box) -> None:
    width, height = box.right - box.left, box.bottom - box.top
    paste(
        canvas.picture, rounded(width, height, 20, mixed(canvas.colours.ground, (0, 0, 0), 0.2)), box.left, box.top + 4
    )
    paste(canvas.picture, rounded(width, height, 20, canvas.accent), box.left, box.top)
    paste(canvas.picture, icons.sign("plus", 26, (255, 255, 255)), box.left + 18, box.centre[1] - 13)
    text(canvas.draw, (box.left + 56, box.centre[1]), element.label, BODY, (255, 255, 255))


def _nothing(canvas: Canvas, element: Element, box: Box) -> None:
    """A list is what its rows show."""


_DRAWN: dict[str, Callable[[Canvas, Element, Box], None]] = {
    "Switch": _switch,
    "RadioButton": _radio,
    "EditText": _input,
    "Spinner": _input,
    "Button": _button,
    "ListView": _nothing,
}

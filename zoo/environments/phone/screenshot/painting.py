"""One screen, painted: the bars, the elements where `layout` puts them, dialogs, the keyboard, and marks on request."""

from collections.abc import Callable
from functools import lru_cache
from textwrap import wrap
from typing import NamedTuple

from PIL import Image, ImageDraw

from zoo.environments.phone.layout import (
    HEIGHT,
    NAVIGATION,
    STATUS_BAR,
    TITLE_BAR,
    WIDTH,
    Box,
    Layout,
    arrange,
    is_floating,
)
from zoo.environments.phone.screenshot import icons, pieces, scenery
from zoo.environments.phone.screenshot.pieces import DARK, LIGHT, Colour, Colours, mixed, paste, rounded, text
from zoo.environments.phone.state import Element, State

__all__ = ["paint"]

_RED: Colour = (190, 44, 44)
_MARK: Colour = (226, 28, 68)
_SIDE = 24
_BODY, _SMALL = 23, 17
_ENDS = frozenset({"Save", "Send", "OK", "Start", "Join now", "Go", "Play", "Read", "Allow", "Join", "Directions"})
"""Buttons that are filled: what a screen is for."""
_RISKS = frozenset({"Delete", "Remove", "Stop", "Leave"})
_KEYS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")


class Canvas(NamedTuple):
    """What is drawn on, and in which colours."""

    picture: Image.Image
    draw: ImageDraw.ImageDraw
    colours: Colours
    accent: Colour
    screen: str
    """Name of the visible screen; empty for the launcher."""


def paint(state: State, marks: bool = False) -> Image.Image:
    """The display, RGB, 540 x 1170. With `marks`, each element that can be touched carries its number."""
    layout = arrange(state)
    canvas = _canvas(state)
    _behind(canvas, state, layout)
    _ELSE.get(layout.screen.kind, _page)(canvas, state, layout)
    if layout.keyboard:
        _keyboard(canvas, layout.keyboard)
    if layout.screen.kind != "dialog":
        _bars(canvas, state, keyboard=layout.keyboard is not None)
    _notices(canvas, layout)
    if marks:
        _marks(canvas.draw, layout)
    return canvas.picture


def _canvas(state: State) -> Canvas:
    colours = DARK if state.data["settings.dark_theme"] else LIGHT
    screen = state.stack[-1].screen if state.stack else ""
    accent = icons.COLOURS[screen.partition("/")[0]] if screen else (60, 90, 160)
    accent = mixed(accent, (255, 255, 255), 0.35) if colours is DARK else accent
    picture = Image.new("RGB", (WIDTH, HEIGHT), colours.ground)
    return Canvas(picture, ImageDraw.Draw(picture), colours, accent, screen)


def _behind(canvas: Canvas, state: State, layout: Layout) -> None:
    """A dialog lies over the screen below, which is darker meanwhile."""
    if layout.screen.kind != "dialog":
        return
    below = state._replace(stack=state.stack[:-1], disturbances=())
    canvas.picture.paste(Image.blend(paint(below), Image.new("RGB", (WIDTH, HEIGHT), (0, 0, 0)), 0.5))


def _bars(canvas: Canvas, state: State, keyboard: bool) -> None:
    """Above and below. While the keyboard is there, back points down: it puts the keyboard away."""
    draw, home = canvas.draw, not canvas.screen
    ink = (255, 255, 255) if home else canvas.colours.ink
    text(draw, (_SIDE, STATUS_BAR // 2 + 2), state.data["now"], 20, ink)
    level = state.data["settings.battery_level"]
    text(draw, (WIDTH - 58, STATUS_BAR // 2 + 2), level, 17, ink, "rm")
    draw.rounded_rectangle((WIDTH - 50, 13, WIDTH - 22, 29), 4, outline=ink, width=2)
    draw.rectangle((WIDTH - 47, 16, WIDTH - 47 + 22 * int(level.rstrip("%")) // 100, 26), ink)
    if state.data["settings.wifi"]:
        paste(canvas.picture, icons.sign("wifi", 26, ink), WIDTH - 136, 8)
    top = HEIGHT - NAVIGATION
    if not home:
        draw.rectangle((0, top, WIDTH, HEIGHT), canvas.colours.ground)
    paste(canvas.picture, icons.sign("down" if keyboard else "back", 28, ink), WIDTH // 4 - 14, top + 8)
    paste(canvas.picture, icons.sign("home", 26, ink), WIDTH // 2 - 13, top + 9)
    draw.rounded_rectangle((WIDTH * 3 // 4 - 9, top + 13, WIDTH * 3 // 4 + 9, top + 31), 3, outline=ink, width=2)


def _home(canvas: Canvas, state: State, layout: Layout) -> None:
    canvas.picture.paste(scenery.wallpaper(canvas.colours is DARK))
    text(canvas.draw, (WIDTH // 2, 220), state.data["now"], 104, (255, 255, 255), "mm")
    text(canvas.draw, (WIDTH // 2, 300), "Friday, 10 May", 26, (240, 244, 250), "mm")
    for element, box in zip(layout.elements, layout.boxes, strict=True):
        if element.on_tap[0] == "open":
            x = box.centre[0]
            paste(canvas.picture, icons.app_icon(element.on_tap[1], 84), x - 42, box.top + 14)
            text(canvas.draw, (x, box.top + 120), element.label, 19, (255, 255, 255), "mm")


def _page(canvas: Canvas, state: State, layout: Layout) -> None:
    _title(canvas, layout.screen.title, bool(state.stack))
    scenery.decorate(canvas.picture, canvas.screen, canvas.colours, layout.filled, layout.bottom, layout.screen.title)
    _elements(canvas, layout)
    rows, shown = len(layout.screen.rows), state.stack[-1].scroll if state.stack else 0
    for element, box in zip(layout.elements, layout.boxes, strict=True):
        if element.role == "ListView":
            _scroll_bar(canvas, box, rows, shown)


def _loading(canvas: Canvas, state: State, layout: Layout) -> None:
    _title(canvas, layout.screen.title, True)
    paste(canvas.picture, icons.sign("spinner", 84, canvas.accent), WIDTH // 2 - 42, HEIGHT // 2 - 80)
    text(canvas.draw, (WIDTH // 2, HEIGHT // 2 + 50), "Loading...", _BODY, canvas.colours.faint, "mm")


def _dialog(canvas: Canvas, state: State, layout: Layout) -> None:
    assert layout.dialog is not None
    left, top, right, bottom = layout.dialog
    paste(canvas.picture, rounded(right - left, bottom - top, 28, canvas.colours.surface), left, top)
    lines = wrap(layout.screen.title, 34)[:2]
    for number, line in enumerate(lines):
        middle = top + 52 + 32 * number - 16 * (len(lines) - 1)
        text(canvas.draw, (left + 28, middle), line, 25, canvas.colours.ink)
    _elements(canvas, layout)
    for element, box in zip(layout.elements, layout.boxes, strict=True):
        if element.role == "ListView":
            _scroll_bar(canvas, box, len(layout.screen.rows), state.stack[-1].scroll)


_ELSE: dict[str, Callable[[Canvas, State, Layout], None]] = {"home": _home, "loading": _loading, "dialog": _dialog}


def _title(canvas: Canvas, words: str, leads_back: bool) -> None:
    middle = STATUS_BAR + TITLE_BAR // 2
    canvas.draw.rectangle((0, 0, WIDTH, STATUS_BAR + TITLE_BAR), mixed(canvas.colours.ground, canvas.accent, 0.12))
    if leads_back:
        paste(canvas.picture, icons.sign("back", 34, canvas.colours.ink), 16, middle - 17)
    text(canvas.draw, (64, middle), words, 30, canvas.colours.ink, width=WIDTH - 90)


def _elements(canvas: Canvas, layout: Layout) -> None:
    for element, box in zip(layout.elements, layout.boxes, strict=True):
        if element.on_tap[:1] == ("follow",) or element.on_tap[:2] == ("dismiss", "notification"):
            continue
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
    paste(canvas.picture, icons.letter(name, 44), box.left + _SIDE, middle - 22)
    left, width = box.left + _SIDE + 62, box.right - box.left - 150
    text(draw, (left, middle - (13 if value else 0)), name, _BODY, colours.ink, width=width)
    if value:
        text(draw, (left, middle + 15), value, _SMALL + 1, colours.faint, width=width)
    if element.on_tap[0] == "open":
        paste(canvas.picture, icons.sign("open", 24, colours.faint), box.right - 44, middle - 12)
    draw.line((left, box.bottom - 1, box.right - _SIDE, box.bottom - 1), colours.line)
    return None


def _note(canvas: Canvas, element: Element, box: Box) -> None:
    name, _, value = element.label.partition(": ")
    if canvas.screen == "messages/thread":
        return _bubble(canvas, name, value, box)
    if not value:
        text(canvas.draw, (box.left + _SIDE, box.centre[1]), name, _BODY + 2, canvas.colours.ink, width=WIDTH - 60)
        return None
    text(canvas.draw, (box.left + _SIDE, box.centre[1] - 13), name, _SMALL, canvas.colours.faint)
    text(canvas.draw, (box.left + _SIDE, box.centre[1] + 13), value, _BODY, canvas.colours.ink, width=WIDTH - 60)
    return None


def _bubble(canvas: Canvas, sender: str, words: str, box: Box) -> None:
    """A message: the owner's to the right."""
    mine = sender == "You"
    width = min(WIDTH - 110, round(pieces.font(_BODY).getlength(words)) + 40)
    left = box.right - _SIDE - width if mine else box.left + _SIDE
    ground, ink = (canvas.accent, (255, 255, 255)) if mine else (canvas.colours.line, canvas.colours.ink)
    paste(canvas.picture, rounded(width, box.bottom - box.top - 10, 20, ground), left, box.top + 5)
    text(canvas.draw, (left + 20, box.centre[1]), words, _BODY, ink, width=width - 30)


def _switch(canvas: Canvas, element: Element, box: Box) -> None:
    colours, middle = canvas.colours, box.centre[1]
    text(canvas.draw, (box.left + _SIDE, middle), element.label, _BODY, colours.ink, width=box.right - box.left - 130)
    track = icons.toggle(element.status == "checked", canvas.accent, colours.ground)
    paste(canvas.picture, track, box.right - _SIDE - 56, middle - 28)
    canvas.draw.line((box.left + _SIDE, box.bottom - 1, box.right - _SIDE, box.bottom - 1), colours.line)


def _radio(canvas: Canvas, element: Element, box: Box) -> None:
    dot = icons.radio(element.status == "checked", canvas.accent, canvas.colours.faint)
    paste(canvas.picture, dot, box.left + _SIDE, box.centre[1] - 15)
    text(canvas.draw, (box.left + _SIDE + 48, box.centre[1]), element.label, _BODY, canvas.colours.ink)


def _input(canvas: Canvas, element: Element, box: Box) -> None:
    """A text field, or with an arrow the field of a choice."""
    colours, focused = canvas.colours, element.status == "focused"
    left, top, right, bottom = box.left + _SIDE - 4, box.top + 12, box.right - _SIDE + 4, box.bottom - 6
    edge = canvas.accent if focused else mixed(colours.line, colours.faint, 0.4)
    line = 3 if focused else 2
    paste(canvas.picture, rounded(right - left, bottom - top, 12, colours.surface, edge, line), left, top)
    middle, value = (top + bottom) // 2, element.value or ""
    name = canvas.accent if focused else colours.faint
    if not value and not focused:
        text(canvas.draw, (left + 18, middle), element.label, _BODY, name)
    else:
        width = pieces.font(_SMALL).getlength(element.label)
        canvas.draw.rectangle((left + 12, top - 2, left + 24 + width, top + 4), colours.ground)
        text(canvas.draw, (left + 18, top + 1), element.label, _SMALL, name)
        text(canvas.draw, (left + 18, middle + 3), value, _BODY, colours.ink, width=right - left - 60)
    if focused:
        cursor = left + 20 + min(right - left - 60, pieces.font(_BODY).getlength(value))
        canvas.draw.line((cursor, middle - 13, cursor, middle + 17), canvas.accent, 2)
    if element.role == "Spinner":
        paste(canvas.picture, icons.sign("down", 26, colours.faint), right - 42, middle - 13)


def _button(canvas: Canvas, element: Element, box: Box) -> None:
    colours = canvas.colours
    if is_floating(element):
        return _floating(canvas, element, box)
    left, top, right, bottom = box.left + _SIDE - 8, box.top + 6, box.right - _SIDE + 8, box.bottom - 6
    if box.right - box.left < WIDTH - 100:
        left, right = box.left, box.right
    fill, ink = mixed(colours.ground, canvas.accent, 0.16), canvas.accent
    if element.label in _ENDS:
        fill, ink = canvas.accent, (255, 255, 255)
    elif element.label in _RISKS:
        fill, ink = mixed(colours.ground, _RED, 0.14), mixed(_RED, colours.ink, 0.15)
    paste(canvas.picture, rounded(right - left, bottom - top, (bottom - top) // 2, fill), left, top)
    text(canvas.draw, ((left + right) // 2, (top + bottom) // 2), element.label, _BODY, ink, "mm")
    return None


def _floating(canvas: Canvas, element: Element, box: Box) -> None:
    width, height = box.right - box.left, box.bottom - box.top
    paste(
        canvas.picture, rounded(width, height, 20, mixed(canvas.colours.ground, (0, 0, 0), 0.2)), box.left, box.top + 4
    )
    paste(canvas.picture, rounded(width, height, 20, canvas.accent), box.left, box.top)
    paste(canvas.picture, icons.sign("plus", 26, (255, 255, 255)), box.left + 18, box.centre[1] - 13)
    text(canvas.draw, (box.left + 56, box.centre[1]), element.label, _BODY, (255, 255, 255))


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


def _scroll_bar(canvas: Canvas, box: Box, rows: int, shown: int) -> None:
    height = box.bottom - box.top
    top = box.top + height * shown // rows
    canvas.draw.rounded_rectangle(
        (box.right - 9, top, box.right - 4, top + height * 6 // rows), 3, canvas.colours.faint
    )


def _notices(canvas: Canvas, layout: Layout) -> None:
    """The card of a notification, over everything else."""
    for element, box in zip(layout.elements, layout.boxes, strict=True):
        if element.on_tap[:1] != ("follow",):
            continue
        app, _, words = element.label.partition(": ")
        paste(canvas.picture, rounded(WIDTH - 24, 124, 24, canvas.colours.surface, canvas.colours.line, 2), 12, box.top)
        paste(canvas.picture, icons.app_icon(element.on_tap[1], 44), box.left + 16, box.top + 14)
        text(canvas.draw, (box.left + 76, box.top + 24), app, _SMALL + 1, canvas.colours.faint)
        text(canvas.draw, (box.left + 76, box.top + 52), words, 21, canvas.colours.ink, width=WIDTH - 130)
        text(canvas.draw, (box.right - 70, box.bottom + 26), "Dismiss", 21, canvas.accent, "mm")


def _keyboard(canvas: Canvas, box: Box) -> None:
    canvas.picture.paste(_keys(box.right - box.left, box.bottom - box.top, canvas.colours), box[:2])


@lru_cache(maxsize=4)
def _keys(width: int, height: int, colours: Colours) -> Image.Image:
    picture = Image.new("RGB", (width, height), mixed(colours.line, colours.ground, 0.3))
    draw = ImageDraw.Draw(picture)
    step, line = width // 10, (height - 16) // 5
    for number, keys in enumerate(_KEYS):
        left = (width - step * len(keys)) // 2
        for at, key in enumerate(keys):
            _key(picture, draw, (left + at * step, 8 + number * line, step, line), key, colours)
    for left, wide, name in ((4, 78, "?123"), (82, 300, "space"), (382, 60, "."), (442, 94, "Enter")):
        _key(picture, draw, (left, 8 + 4 * line, wide, line), name, colours)
    return picture


def _key(
    picture: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int, int, int], name: str, colours: Colours
) -> None:
    left, top, width, height = at
    paste(picture, rounded(width - 6, height - 8, 8, colours.surface), left + 3, top + 4)
    text(draw, (left + width // 2, top + height // 2), name, 24 if len(name) == 1 else 18, colours.ink, "mm")


def _marks(draw: ImageDraw.ImageDraw, layout: Layout) -> None:
    """Set-of-Marks: a frame around each element that can be touched, its number in the upper left corner; a list has it
    in the right one, since its first row begins where it begins."""
    lists = {box for box, one in zip(layout.boxes, layout.elements, strict=True) if one.role == "ListView"}
    for number, box in enumerate(layout.touchable, start=1):
        left, top, right, bottom = box.left + 2, box.top + 2, box.right - 3, box.bottom - 3
        draw.rectangle((left, top, right, bottom), outline=_MARK, width=2)
        wide = 30 if number < 10 else 42
        left = right - wide if box in lists else left
        draw.rectangle((left, top, left + wide, top + 28), _MARK)
        text(draw, (left + wide // 2, top + 15), str(number), 23, (255, 255, 255), "mm")

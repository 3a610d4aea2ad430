"""One screen, painted: the bars, the elements where `layout` puts them, dialogs, the keyboard, and marks on request."""

from collections.abc import Callable
from textwrap import wrap

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
)
from zoo.environments.phone.screenshot import icons, scenery
from zoo.environments.phone.screenshot.controls import draw_element
from zoo.environments.phone.screenshot.keyboard import keyboard
from zoo.environments.phone.screenshot.pieces import (
    BODY,
    DARK,
    LIGHT,
    SIDE,
    SMALL,
    Canvas,
    Colour,
    mixed,
    paste,
    rounded,
    text,
)
from zoo.environments.phone.state import State

__all__ = ["paint"]

_MARK: Colour = (226, 28, 68)


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
    text(draw, (SIDE, STATUS_BAR // 2 + 2), state.data["now"], 20, ink)
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
    text(canvas.draw, (WIDTH // 2, HEIGHT // 2 + 50), "Loading...", BODY, canvas.colours.faint, "mm")


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
        draw_element(canvas, element, box)


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
        text(canvas.draw, (box.left + 76, box.top + 24), app, SMALL + 1, canvas.colours.faint)
        text(canvas.draw, (box.left + 76, box.top + 52), words, 21, canvas.colours.ink, width=WIDTH - 130)
        text(canvas.draw, (box.right - 70, box.bottom + 26), "Dismiss", 21, canvas.accent, "mm")


def _keyboard(canvas: Canvas, box: Box) -> None:
    canvas.picture.paste(keyboard(box.right - box.left, box.bottom - box.top, canvas.colours), box[:2])


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

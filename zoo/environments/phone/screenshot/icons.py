"""The apps' icons, and small signs: switch, radio button, arrows, battery. Drawn, since no picture travels along."""

from functools import lru_cache
from math import cos, pi, sin

from PIL import Image, ImageDraw

from zoo.environments.phone.screenshot.pieces import SMOOTH, Colour, font, mixed

__all__ = ["COLOURS", "app_icon", "letter", "radio", "sign", "toggle"]

COLOURS: dict[str, Colour] = {
    "settings": (96, 105, 120),
    "clock": (60, 72, 160),
    "contacts": (30, 118, 210),
    "messages": (26, 138, 86),
    "calendar": (205, 66, 58),
    "finance": (12, 124, 132),
    "maps": (46, 125, 50),
    "music": (186, 46, 120),
    "reader": (160, 92, 30),
    "meetings": (70, 84, 220),
}
"""App -> the colour of its icon and of its buttons."""
_WHITE: Colour = (255, 255, 255)
_LETTERS: tuple[Colour, ...] = (
    (198, 82, 74), (196, 120, 40), (120, 134, 44), (40, 138, 92),
    (30, 130, 156), (60, 104, 190), (124, 84, 178), (176, 70, 130),
)  # fmt: skip


def _canvas(side: int) -> tuple[Image.Image, ImageDraw.ImageDraw, float]:
    """A transparent square, and the length of a hundredth of its side."""
    big = Image.new("RGBA", (side * SMOOTH, side * SMOOTH))
    return big, ImageDraw.Draw(big), side * SMOOTH / 100


def _shrunk(big: Image.Image) -> Image.Image:
    return big.resize((big.width // SMOOTH, big.height // SMOOTH), Image.Resampling.LANCZOS)


@lru_cache(maxsize=64)
def app_icon(app: str, side: int) -> Image.Image:
    """An app's icon, RGBA."""
    big, draw, unit = _canvas(side)
    colour = COLOURS[app]
    draw.rounded_rectangle((0, 0, 100 * unit - 1, 100 * unit - 1), 26 * unit, colour)
    _GLYPHS[app](draw, unit, colour)
    return _shrunk(big)


def _settings(draw: ImageDraw.ImageDraw, unit: float, colour: Colour) -> None:
    for tooth in range(8):
        x, y = (50 + 27 * f(tooth * pi / 4) for f in (cos, sin))
        _disc(draw, unit, x, y, 8, _WHITE)
    _disc(draw, unit, 50, 50, 26, _WHITE)
    _disc(draw, unit, 50, 50, 11, colour)


def _clock(draw: ImageDraw.ImageDraw, unit: float, colour: Colour) -> None:
    _disc(draw, unit, 50, 50, 33, _WHITE)
    _line(draw, unit, (50, 50, 50, 27), 6, colour)
    _line(draw, unit, (50, 50, 66, 58), 6, colour)


def _contacts(draw: ImageDraw.ImageDraw, unit: float, colour: Colour) -> None:
    _disc(draw, unit, 50, 37, 15, _WHITE)
    draw.pieslice(_scaled(unit, (20, 56, 80, 112)), 180, 360, _WHITE)


def _messages(draw: ImageDraw.ImageDraw, unit: float, colour: Colour) -> None:
    draw.rounded_rectangle(_scaled(unit, (20, 24, 80, 66)), 12 * unit, _WHITE)
    draw.polygon(_scaled(unit, (32, 62, 32, 82, 52, 64)), _WHITE)
    for x in (36, 50, 64):
        _disc(draw, unit, x, 45, 4, colour)


def _calendar(draw: ImageDraw.ImageDraw, unit: float, colour: Colour) -> None:
    draw.rounded_rectangle(_scaled(unit, (22, 24, 78, 80)), 8 * unit, _WHITE)
    draw.rectangle(_scaled(unit, (22, 38, 78, 42)), colour)
    for x in (34, 66):
        _line(draw, unit, (x, 18, x, 30), 6, _WHITE)
    for x in (32, 46, 60):
        for y in (50, 64):
            draw.rectangle(_scaled(unit, (x, y, x + 8, y + 8)), colour)


def _finance(draw: ImageDraw.ImageDraw, unit: float, colour: Colour) -> None:
    draw.rounded_rectangle(_scaled(unit, (18, 30, 82, 76)), 9 * unit, _WHITE)
    draw.rounded_rectangle(_scaled(unit, (56, 45, 86, 62)), 7 * unit, colour)
    _disc(draw, unit, 67, 53, 4, _WHITE)
    _line(draw, unit, (28, 24, 66, 24), 5, _WHITE)


def _maps(draw: ImageDraw.ImageDraw, unit: float, colour: Colour) -> None:
    draw.polygon(_scaled(unit, (29, 50, 71, 50, 50, 84)), _WHITE)
    _disc(draw, unit, 50, 40, 23, _WHITE)
    _disc(draw, unit, 50, 40, 9, colour)


def _music(draw: ImageDraw.ImageDraw, unit: float, colour: Colour) -> None:
    _line(draw, unit, (42, 30, 42, 70), 6, _WHITE)
    _line(draw, unit, (70, 24, 70, 64), 6, _WHITE)
    draw.polygon(_scaled(unit, (39, 27, 73, 19, 73, 31, 39, 39)), _WHITE)
    _disc(draw, unit, 34, 70, 11, _WHITE)
    _disc(draw, unit, 62, 64, 11, _WHITE)


def _reader(draw: ImageDraw.ImageDraw, unit: float, colour: Colour) -> None:
    draw.polygon(_scaled(unit, (16, 28, 48, 35, 48, 78, 16, 71)), _WHITE)
    draw.polygon(_scaled(unit, (84, 28, 52, 35, 52, 78, 84, 71)), _WHITE)
    for y in (42, 52, 62):
        _line(draw, unit, (24, y - 2, 41, y + 2), 3, colour)
        _line(draw, unit, (76, y - 2, 59, y + 2), 3, colour)


def _meetings(draw: ImageDraw.ImageDraw, unit: float, colour: Colour) -> None:
    draw.rounded_rectangle(_scaled(unit, (16, 32, 62, 68)), 9 * unit, _WHITE)
    draw.polygon(_scaled(unit, (66, 46, 84, 34, 84, 66, 66, 54)), _WHITE)


_GLYPHS = {
    "settings": _settings, "clock": _clock, "contacts": _contacts, "messages": _messages, "calendar": _calendar,
    "finance": _finance, "maps": _maps, "music": _music, "reader": _reader, "meetings": _meetings,
}  # fmt: skip


def _scaled(unit: float, numbers: tuple[float, ...]) -> list[float]:
    return [number * unit for number in numbers]


def _disc(draw: ImageDraw.ImageDraw, unit: float, x: float, y: float, radius: float, colour: Colour) -> None:
    draw.ellipse(_scaled(unit, (x - radius, y - radius, x + radius, y + radius)), colour)


def _line(draw: ImageDraw.ImageDraw, unit: float, ends: tuple[float, ...], width: float, colour: Colour) -> None:
    draw.line(_scaled(unit, ends), colour, round(width * unit))


@lru_cache(maxsize=512)
def letter(word: str, side: int) -> Image.Image:
    """A disc with the first letter of a word, RGBA: what stands before a row."""
    big, draw, unit = _canvas(side)
    initial = next((sign for sign in word if sign.isalnum()), "?").upper()
    _disc(draw, unit, 50, 50, 49, _LETTERS[sum(map(ord, word.partition(" ")[0])) % len(_LETTERS)])
    draw.text((50 * unit, 51 * unit), initial, fill=_WHITE, font=font(round(46 * unit)), anchor="mm")
    return _shrunk(big)


@lru_cache(maxsize=64)
def toggle(on: bool, colour: Colour, ground: Colour) -> Image.Image:
    """A switch, RGBA, 56 x 56 with its track in the middle."""
    big, draw, unit = _canvas(56)
    track = colour if on else mixed(ground, (128, 132, 140), 0.45)
    draw.rounded_rectangle(_scaled(unit, (2, 24, 98, 76)), 26 * unit, track)
    _disc(draw, unit, 73 if on else 27, 50, 19, _WHITE)
    return _shrunk(big)


@lru_cache(maxsize=64)
def radio(on: bool, colour: Colour, faint: Colour) -> Image.Image:
    """A radio button, RGBA, 30 x 30."""
    big, draw, unit = _canvas(30)
    draw.ellipse(_scaled(unit, (6, 6, 94, 94)), outline=colour if on else faint, width=round(9 * unit))
    if on:
        _disc(draw, unit, 50, 50, 24, colour)
    return _shrunk(big)


@lru_cache(maxsize=128)
def sign(name: str, side: int, colour: Colour) -> Image.Image:
    """`back`, `home`, `open`, `down`, `plus`, `wifi`, `check`, `spinner`, `search`, RGBA."""
    big, draw, unit = _canvas(side)
    width = round(9 * unit)
    match name:
        case "back":
            draw.line(_scaled(unit, (62, 18, 30, 50, 62, 82)), colour, width, "curve")
        case "open":
            draw.line(_scaled(unit, (38, 22, 66, 50, 38, 78)), colour, width, "curve")
        case "down":
            draw.polygon(_scaled(unit, (24, 38, 76, 38, 50, 66)), colour)
        case "home":
            draw.ellipse(_scaled(unit, (18, 18, 82, 82)), outline=colour, width=width)
        case "plus":
            draw.line(_scaled(unit, (50, 18, 50, 82)), colour, width)
            draw.line(_scaled(unit, (18, 50, 82, 50)), colour, width)
        case "check":
            draw.line(_scaled(unit, (20, 52, 42, 74, 82, 26)), colour, width, "curve")
        case "wifi":
            draw.pieslice(_scaled(unit, (-4, 18, 104, 126)), 225, 315, colour)
        case "spinner":
            draw.arc(_scaled(unit, (8, 8, 92, 92)), -90, 190, colour, width)
    return _shrunk(big)

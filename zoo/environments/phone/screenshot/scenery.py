"""What fills a screen beside its elements: the wallpaper, a map, a page of a book, a cover, the faces of a call."""

from functools import lru_cache
from math import sin
from random import Random

from PIL import Image, ImageDraw

from zoo.environments.phone.layout import HEIGHT, WIDTH
from zoo.environments.phone.screenshot import icons
from zoo.environments.phone.screenshot.pieces import SMOOTH, Colours, mixed, paste, rounded, text

__all__ = ["decorate", "wallpaper"]

_MARGIN = 24
_LEAST = 120
"""Pixels below which there is no room for a picture."""


@lru_cache(maxsize=2)
def wallpaper(dark: bool) -> Image.Image:
    """A sky over hills."""
    top, bottom = ((22, 30, 66), (70, 48, 96)) if dark else ((58, 108, 178), (190, 150, 170))
    column = Image.new("RGB", (1, HEIGHT))
    column.putdata([mixed(top, bottom, y / HEIGHT) for y in range(HEIGHT)])
    picture = column.resize((WIDTH, HEIGHT))
    draw = ImageDraw.Draw(picture)
    for number, shade in enumerate((0.25, 0.45, 0.65)):
        middle, y = 90 + 190 * number, HEIGHT - 430 + 110 * number
        draw.ellipse((middle - 520, y, middle + 520, y + 1100), mixed(bottom, (24, 40, 60), shade))
    return picture


def decorate(picture: Image.Image, screen: str, colours: Colours, filled: int, bottom: int, title: str) -> None:
    """Fill the room below the last element, on the screens that have something to show there."""
    drawn = {
        "maps": _map, "maps/spot": _map, "maps/directions": _map, "reader/page": _page,
        "music/player": _cover, "music/song": _cover, "meetings/call": _faces, "meetings/preview": _faces,
    }.get(screen)  # fmt: skip
    height = bottom - filled - 2 * _MARGIN
    if drawn and height >= _LEAST:
        piece = drawn(WIDTH - 2 * _MARGIN, height, colours, title)
        paste(picture, piece, (WIDTH - piece.width) // 2, filled + _MARGIN)


@lru_cache(maxsize=32)
def _map(width: int, height: int, colours: Colours, title: str) -> Image.Image:
    """Streets, a river and a park; the pin of the place."""
    rng = Random(title)
    land = mixed(colours.line, (226, 222, 206), 0.6)
    big = Image.new("RGB", (width * 2, height * 2), land)
    draw = ImageDraw.Draw(big)
    park = rng.randrange(width), rng.randrange(height)
    draw.ellipse((*park, park[0] + 420, park[1] + 300), (176, 212, 160))
    shift = rng.randrange(200, height * 2)
    river = [(x, shift + 70 * sin(x / 160) - x / 4) for x in range(-60, width * 2 + 60, 12)]
    draw.line(river, (148, 196, 232), 60, "curve")
    for step in range(-4, 12):
        draw.line((0, step * 150, width * 2, step * 150 + 200), (250, 250, 250), 16 if step % 3 else 34)
        draw.line((step * 170, 0, step * 170 - 90, height * 2), (250, 250, 250), 14 if step % 4 else 30)
    small = big.resize((width, height), Image.Resampling.LANCZOS).convert("RGBA")
    small.putalpha(rounded(width, height, 22, (255, 255, 255)).getchannel("A"))
    pin = icons.app_icon("maps", 56)
    small.paste(pin, (width // 2 - 28, height // 2 - 28), pin)
    return small


@lru_cache(maxsize=32)
def _page(width: int, height: int, colours: Colours, title: str) -> Image.Image:
    """Lines of print, as from afar."""
    rng = Random(title)
    page = rounded(width, height, 14, mixed(colours.surface, (250, 240, 220), 0.5), colours.line).copy()
    draw = ImageDraw.Draw(page)
    for number, y in enumerate(range(34, height - 24, 24)):
        right = width - 34 if number % 5 != 4 else rng.randrange(width // 3, width - 60)
        draw.rounded_rectangle((34, y, right, y + 8), 4, mixed(colours.faint, colours.surface, 0.35))
    return page


@lru_cache(maxsize=32)
def _cover(width: int, height: int, colours: Colours, title: str) -> Image.Image:
    """A record's cover."""
    side = min(width, height, 380)
    hue = Random(title)
    base = (hue.randrange(60, 200), hue.randrange(40, 160), hue.randrange(80, 220))
    cover = rounded(side, side, 26, base).copy()
    discs = Image.new("RGBA", (side * SMOOTH, side * SMOOTH))
    draw = ImageDraw.Draw(discs)
    for share in (0.42, 0.3, 0.12):
        radius, middle = side * SMOOTH * share, side * SMOOTH / 2
        shade = mixed(base, (255, 255, 255) if share > 0.2 else (20, 20, 30), 0.22 if share > 0.35 else 0.4)
        draw.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), shade)
    paste(cover, discs.resize((side, side), Image.Resampling.LANCZOS), 0, 0)
    return cover


@lru_cache(maxsize=8)
def _faces(width: int, height: int, colours: Colours, title: str) -> Image.Image:
    """Four tiles of a video call."""
    height = min(height, 460)
    tiles = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(tiles)
    wide, high = (width - 14) // 2, (height - 14) // 2
    for number, name in enumerate(("Anna", "Omar", "Lena", "You")):
        left, top = (number % 2) * (wide + 14), (number // 2) * (high + 14)
        paste(tiles, rounded(wide, high, 18, (52, 57, 70)), left, top)
        face = min(84, high - 50)
        paste(tiles, icons.letter(name, face), left + (wide - face) // 2, top + (high - face) // 2 - 10)
        text(draw, (left + 16, top + high - 20), name, 17, (235, 238, 244))
    return tiles

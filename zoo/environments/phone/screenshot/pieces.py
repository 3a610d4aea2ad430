"""Fonts, colours and the shapes that are drawn often: made once, smooth, and kept."""

from functools import lru_cache
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "BODY",
    "DARK",
    "LIGHT",
    "SIDE",
    "SMALL",
    "SMOOTH",
    "Canvas",
    "Colour",
    "Colours",
    "fitted",
    "font",
    "mixed",
    "paste",
    "rounded",
    "text",
]

Colour = tuple[int, int, int]

SMOOTH = 4
"""Shapes are drawn so many times larger and then shrunk: Pillow's own edges are jagged."""


SIDE = 24
"""Pixels between the edge of the display and what is written."""
BODY, SMALL = 23, 17
"""Sizes of writing, in pixels."""


class Colours(NamedTuple):
    """Of one theme."""

    ground: Colour
    surface: Colour
    ink: Colour
    faint: Colour
    line: Colour


LIGHT = Colours((250, 250, 252), (255, 255, 255), (28, 30, 36), (105, 110, 122), (222, 225, 232))
DARK = Colours((20, 22, 27), (38, 41, 49), (234, 236, 241), (154, 160, 172), (62, 67, 78))


class Canvas(NamedTuple):
    """What is drawn on, and in which colours."""

    picture: Image.Image
    draw: ImageDraw.ImageDraw
    colours: Colours
    accent: Colour
    screen: str
    """Name of the visible screen; empty for the launcher."""


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font at a size in pixels."""
    loaded = ImageFont.load_default(size)
    assert isinstance(loaded, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return loaded


@lru_cache(maxsize=4096)
def fitted(words: str, size: int, width: int) -> str:
    """The words, cut with an ellipsis where they would be wider."""
    if font(size).getlength(words) <= width:
        return words
    while words and font(size).getlength(words + "...") > width:
        words = words[:-1]
    return words.rstrip() + "..."


def text(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    words: str,
    size: int,
    colour: Colour,
    anchor: str = "lm",
    width: int = 0,
) -> None:
    """One line; `anchor` as Pillow names it."""
    draw.text(at, fitted(words, size, width) if width else words, fill=colour, font=font(size), anchor=anchor)


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """Between two colours, with so much of the second."""
    red, green, blue = (round(one * (1 - share) + other * share) for one, other in zip(a, b, strict=True))
    return red, green, blue


@lru_cache(maxsize=1024)
def rounded(
    width: int, height: int, radius: int, fill: Colour | None, outline: Colour | None = None, line: int = 2
) -> Image.Image:
    """A rectangle with round corners, RGBA."""
    big = Image.new("RGBA", (width * SMOOTH, height * SMOOTH))
    ImageDraw.Draw(big).rounded_rectangle(
        (0, 0, width * SMOOTH - 1, height * SMOOTH - 1), radius * SMOOTH, fill, outline, line * SMOOTH if outline else 0
    )
    return big.resize((width, height), Image.Resampling.LANCZOS)


def paste(picture: Image.Image, piece: Image.Image, left: int, top: int) -> None:
    """A piece with its own transparency."""
    picture.paste(piece, (left, top), piece)

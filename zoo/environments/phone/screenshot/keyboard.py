"""The keyboard as a picture, drawn once for a size and a theme."""

from functools import lru_cache

from PIL import Image, ImageDraw

from zoo.environments.phone.screenshot.pieces import Colours, mixed, paste, rounded, text

__all__ = ["keyboard"]

_KEYS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")


@lru_cache(maxsize=4)
def keyboard(width: int, height: int, colours: Colours) -> Image.Image:
    """RGB, of a size in pixels."""
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

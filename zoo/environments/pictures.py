"""A screen as the picture that a model sees: drawn by its world, no larger than a model is shown, compared in pixels.

Needs Pillow, which the extra `train` brings. How a world draws itself is its own business.
"""

from io import BytesIO
from typing import TYPE_CHECKING

from zoo.environments import Environment, Pictured, Pictures
from zoo.errors import EnvironmentFailure

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MOST_PIXELS", "as_png", "nearly_same", "screenshot_of"]

MOST_PIXELS = 2_500_000
"""What OpenPhone trains on at most (`image_max_pixels`); a larger screen is shrunk, its marks with it."""
_SAME = 0.999
"""AndroidLab's similarity above which two screenshots are the same screen."""


def screenshot_of(environment: Environment, pictures: Pictures) -> "Image":
    """The screen, RGB, plain or with the number of each element marked on it.

    Raises EnvironmentFailure when the world draws no picture, or Pillow is not installed.
    """
    if not isinstance(environment, Pictured):
        raise EnvironmentFailure(f"{type(environment).__name__} draws no picture; set agent.pictures to none")
    image: Image = environment.screenshot(marks=pictures == "marks")
    share = (MOST_PIXELS / (image.width * image.height)) ** 0.5
    return image if share >= 1 else image.resize((int(image.width * share), int(image.height * share)))


def as_png(image: "Image") -> bytes:
    """The file that a row keeps of a screen."""
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def nearly_same(a: "Image", b: "Image") -> bool:
    """Whether two screenshots show one screen: equal in more than 99.9 % of the pixels that are not white in both.

    AndroidLab (`evaluation/task.py`) leaves pure white out, since it would drown what changed on a bright screen.
    """
    from PIL import ImageChops

    if a.size != b.size:
        return False
    different = _counted(ImageChops.difference(a.convert("RGB"), b.convert("RGB")))
    inked = _counted(ImageChops.invert(ImageChops.darker(a.convert("RGB"), b.convert("RGB"))))
    return different <= (1 - _SAME) * inked


def _counted(image: "Image") -> int:
    """Pixels that are not black."""
    from PIL import ImageChops

    red, green, blue = image.split()
    brightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return image.width * image.height - brightest.histogram()[0]

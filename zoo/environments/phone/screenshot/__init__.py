"""The phone's screen as a picture, plain or with numbered marks. Needs Pillow, which the extra `train` brings.

`painting` draws a screen, `controls` its elements, `keyboard` the keyboard; `pieces` holds what is drawn often, `icons`
and `scenery` give an app its face. The font is the one
that Pillow carries, so that every machine draws the same picture. Not covered: animations, pictures of the user's own.
"""

from zoo.environments.phone.screenshot.painting import paint

__all__ = ["paint"]

"""Where the recipes, card templates and Spaces that come with the package lie on this machine.

In a checkout they lie beside the package; a wheel carries them inside it (`force-include` in pyproject.toml).
"""

from pathlib import Path
from typing import Literal

__all__ = ["folder"]


def folder(name: Literal["recipes", "cards", "spaces"], package: Path = Path(__file__).parent) -> Path:
    """The folder of that name.

    Raises FileNotFoundError when the installation carries none. A folder beside the package counts only where a
    pyproject.toml stands too: in site-packages it would be somebody else's.

    >>> (folder("cards") / "model.md.jinja").is_file()
    True
    """
    inside = package / "_shipped" / name
    if inside.is_dir():
        return inside
    beside = package.parent / name
    if beside.is_dir() and (package.parent / "pyproject.toml").is_file():
        return beside
    raise FileNotFoundError(f"this installation of edgezoo carries no {name}/ (looked for {inside} and {beside})")

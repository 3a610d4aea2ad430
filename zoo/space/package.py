"""The part of this package that a page carries with it, found by following its imports.

A Space installs `requirements.txt` before its own files are there, so a wheel beside it cannot be named in it; the
modules themselves travel in the Space's folder, where Python finds them first. Imports inside functions count too.
"""

import ast
from collections.abc import Iterable
from pathlib import Path

__all__ = ["modules_of", "package_files"]

_PACKAGE = Path(__file__).parent.parent
_NAME = "zoo"
_BY_NAME = ("zoo.environments.phone",)
"""What no import names: a world is reached through its name in the registry."""


def package_files(sources: Iterable[str], package: Path = _PACKAGE) -> dict[str, bytes]:
    """Path (`zoo/...`) -> content of every module that the given sources need, directly or through others."""
    waiting = [*_BY_NAME, *(name for source in sources for name in modules_of(source))]
    found: dict[str, bytes] = {}
    while waiting:
        for file in _files(waiting.pop(), package):
            path = f"{_NAME}/{file.relative_to(package).as_posix()}"
            if path not in found:
                found[path] = file.read_bytes()
                waiting += modules_of(found[path].decode("utf-8"))
    return dict(sorted(found.items()))


def modules_of(source: str) -> list[str]:
    """The modules of this package that a source imports, anywhere in it; a name that is imported from one may be one.

    >>> modules_of("from zoo.hub import pin")
    ['zoo.hub', 'zoo.hub.pin']
    """
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in found if name.split(".")[0] == _NAME]


def _files(module: str, package: Path) -> list[Path]:
    """The file of a module and the `__init__.py` of every package above it; none for a name that is no module."""
    words = module.split(".")[1:]
    place = package.joinpath(*words)
    own = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if not words:
        own = package / "__init__.py"
    if not own.is_file():
        return []
    above = [package.joinpath(*words[:depth]) / "__init__.py" for depth in range(len(words))]
    return [*above, own]

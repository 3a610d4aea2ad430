"""Tables of the libraries' options as files: which names, which types, which choices, which default."""

import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from zoo.options.problem import OptionProblem

__all__ = ["FILES", "read", "version_problems"]

FILES = {"trl": "trl-1.16.json", "peft": "peft-0.21.json", "mergekit": "mergekit-0.1.5.json"}


@cache
def read(library: str) -> dict[str, Any]:
    """The table of `trl`, `peft` or `mergekit`."""
    table: dict[str, Any] = json.loads((Path(__file__).parent / FILES[library]).read_text("utf-8"))
    return table


def version_problems(library: str) -> list[OptionProblem]:
    """A problem for each distribution whose installed version is not the one that the table was written from.

    One that is not installed is no problem here: a recipe can be checked on a machine that will not run it.
    """
    return [
        OptionProblem(
            "",
            f"{distribution} {installed} is installed, the table of its options is of {tabled}",
            f"install {distribution}=={tabled}.*, or write a new table with `python -m zoo.options.tables`",
        )
        for distribution, tabled in read(library)["versions"].items()
        if (installed := _installed(distribution)) and not _is_of(installed, tabled)
    ]


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _is_of(installed: str, tabled: str) -> bool:
    return installed == tabled or installed.startswith(tabled + ".")

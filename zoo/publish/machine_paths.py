"""Paths of the machine that made a publication, which must not be in it."""

import re
from collections.abc import Mapping
from pathlib import Path

from zoo.errors import Problem, RecipeError
from zoo.records import StageContext

__all__ = ["of", "refuse_in", "refuse_in_recipe"]

# Their entries are tokens, among which a home folder's name may be a word like any other.
_VOCABULARIES = ("tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json")
_TEXTS = (".json", ".md", ".yaml", ".jinja", ".txt")


def of(ctx: StageContext) -> re.Pattern[str]:
    """Finds the home folder, the cache and every folder that a stage reads."""
    places = {Path.home(), ctx.out.parent, *ctx.inputs.values()} - {Path("/")}
    # Only as a whole path: `</name>` in a template is no folder.
    return re.compile(r"(?<![\w<.])(?:" + "|".join(re.escape(str(place)) for place in places) + r")(?![\w-])")


def refuse_in_recipe(files: Mapping[str, str], places: re.Pattern[str]) -> None:
    """Raises RecipeError, with every place, when the recipe names a folder of this machine: the user's to mend."""
    problems = [
        Problem(
            f"{name}:{_line(text, match)}",
            f"this would be published, and names a folder of this machine: {match[0]}",
            "write owner/name@revision, or a path that starts with ./",
        )
        for name, text in files.items()
        for match in places.finditer(text)
    ]
    if problems:
        raise RecipeError(problems)


def refuse_in(folder: Path, places: re.Pattern[str]) -> None:
    """Raises RuntimeError when a text that is about to be published tells where it was made: our bug."""
    for file in sorted(folder.rglob("*")):
        if file.suffix not in _TEXTS or file.name in _VOCABULARIES:
            continue
        text = file.read_text("utf-8")
        if match := places.search(text):
            where = f"{file.relative_to(folder)}:{_line(text, match)}"
            raise RuntimeError(f"{where} would publish a path of this machine: {match[0]}")


def _line(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.start()) + 1

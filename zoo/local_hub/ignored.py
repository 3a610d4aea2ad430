"""Which paths a `.gitignore` leaves out; the server decides that for huggingface_hub's uploads.

Covered: comments, `!`, a leading or inner `/` that anchors, a trailing `/` for folders, `*`, `?`, `[...]` and `**`.
Not covered: `.gitignore` files below the root, which the client does not send. Source: git's gitignore(5).
"""

import re
from dataclasses import dataclass

__all__ = ["Pattern", "is_ignored", "patterns"]


@dataclass(frozen=True)
class Pattern:
    """One line of a `.gitignore`."""

    expression: re.Pattern[str]
    """Matches a whole path, of a file or of a folder that holds it."""
    folders_only: bool
    negated: bool


def patterns(text: str) -> tuple[Pattern, ...]:
    """The patterns of a `.gitignore`, in its order."""
    lines = (line.rstrip() for line in text.splitlines())
    return tuple(_pattern(line) for line in lines if line.strip("/!") and not line.startswith("#"))


def is_ignored(path: str, rules: tuple[Pattern, ...]) -> bool:
    """Whether the last pattern that matches the path, or a folder above it, leaves it out.

    >>> is_ignored("runs/a/log.txt", patterns("runs/"))
    True
    >>> is_ignored("keep.log", patterns("*.log\\n!keep.log"))
    False
    """
    segments = path.split("/")
    places = ["/".join(segments[: count + 1]) for count in range(len(segments))]
    for count, place in enumerate(places):
        ignored = False
        is_folder = count < len(places) - 1
        for rule in rules:
            if (is_folder or not rule.folders_only) and rule.expression.fullmatch(place):
                ignored = not rule.negated
        if ignored:  # git does not look below a folder that is left out, so no `!` brings a file in it back
            return True
    return False


def _pattern(line: str) -> Pattern:
    negated = line.startswith("!")
    glob = line[1:] if negated else line
    folders_only = glob.endswith("/")
    glob = glob.rstrip("/")
    anchor = "" if "/" in glob else "(?:.*/)?"
    return Pattern(re.compile(anchor + _translated(glob.lstrip("/"))), folders_only, negated)


_TOKEN = re.compile(r"\*\*/|/\*\*$|\*\*|\*|\?|\[!?\]?[^\]]*\]|\\.|.", re.DOTALL)
_FIXED = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _translated(glob: str) -> str:
    """A glob as a regular expression."""
    parts = []
    for token in _TOKEN.findall(glob):
        if token in _FIXED:
            parts.append(_FIXED[token])
        elif token.startswith("[") and len(token) > 1:
            inside = token[1:-1].replace("\\", "\\\\")
            parts.append(f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]")
        else:
            parts.append(re.escape(token[-1]))
    return "".join(parts)

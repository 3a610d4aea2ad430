"""A card that somebody wrote into by hand, brought together with the card that a later run generated. Pure.

Kept are paragraphs that were added between generated ones: what they say is the hand's, and what is generated stays
generated. Refused is everything else, since it would either lose the hand's work or let a number stand that no record
says: a generated line that was changed or removed, words inside a table, a code block or a fold, a changed head, and
an addition whose surroundings the later card no longer has.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

__all__ = ["Conflict", "merge"]

_HEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_FENCE = re.compile(r"^\s*(```|~~~)")


class Conflict(ValueError):
    """Why an edited card and a later one cannot be brought together; the message quotes the line."""


def merge(generated: str, edited: str, later: str) -> str:
    """The later card with what a hand added to the card that was generated before.

    Raises Conflict.

    >>> merge("# A\\n\\nIt taps.\\n", "# A\\n\\nIt taps.\\n\\nMind the step.\\n", "# A\\n\\nIt taps.\\n\\n0.3 s.\\n")
    '# A\\n\\nIt taps.\\n\\nMind the step.\\n\\n0.3 s.\\n'
    """
    edited = edited.replace("\r\n", "\n")
    if _head(edited) != _head(generated):
        raise Conflict("its metadata was edited")
    base, lines = generated.splitlines(), later.splitlines()
    place = _places(base, lines)
    additions = [(_anchor(base, at, place), text) for at, text in _added(base, edited.splitlines())]
    for index, text in sorted(additions, key=lambda addition: addition[0], reverse=True):
        _require_prose(lines, index, text)
        lines[index:index] = _apart(text, lines[index - 1 : index], lines[index : index + 1])
    return "\n".join(lines) + "\n"


def _head(card: str) -> str:
    match = _HEAD.match(card)
    return match[0] if match else ""


def _added(base: Sequence[str], edited: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Each addition, and the line of the generated card that it stands before."""
    for kind, start, end, edited_start, edited_end in SequenceMatcher(None, base, edited, False).get_opcodes():
        if kind == "equal":
            continue
        lost = [line for line in base[start:end] if line.strip()]
        if lost:
            raise Conflict(f"a generated line was changed or removed: {lost[0][:80]!r}")
        if text := "\n".join(edited[edited_start:edited_end]).strip("\n"):
            yield start, text.split("\n")


def _places(base: Sequence[str], later: Sequence[str]) -> dict[int, int]:
    """Line of the generated card -> the same line of the later one, for those that it still has in this order."""
    found: dict[int, int] = {}
    for start, later_start, size in SequenceMatcher(None, base, later, False).get_matching_blocks():
        found |= {start + offset: later_start + offset for offset in range(size)}
    return found


def _anchor(base: Sequence[str], at: int, place: dict[int, int]) -> int:
    """Where in the later card an addition goes: after the line that it stood after, or before the one it stood before.

    A blank line is no surroundings. Both neighbours may be there still; then the one before it decides.
    """
    before = next((line for line in range(at - 1, -1, -1) if base[line].strip()), None)
    after = next((line for line in range(at, len(base)) if base[line].strip()), None)
    if before is not None and before in place:
        return place[before] + 1
    if after is not None and after in place:
        return place[after]
    quoted = base[before if before is not None else 0][:80]
    raise Conflict(f"something was added after {quoted!r}, which the later card does not say any more")


def _apart(text: Sequence[str], above: Sequence[str], below: Sequence[str]) -> list[str]:
    """An addition with a blank line on either side where there is none yet."""
    first = [""] if above and above[0].strip() else []
    return [*first, *text, *([""] if below and below[0].strip() else [])]


def _require_prose(lines: Sequence[str], index: int, text: Sequence[str]) -> None:
    """Raises Conflict when the place is inside something that is not prose, or the addition opens it and no more."""
    above, below = lines[:index], lines[index:]
    first = next(line for line in text if line.strip())
    if _opened(above) or _opened(text):
        raise Conflict(f"something was added inside a code block or a fold: {first[:80]!r}")
    last = above[-1] if above else ""
    following = below[0] if below else ""
    if last.startswith("|") and following.startswith("|"):
        raise Conflict(f"something was added inside a table: {first[:80]!r}")
    if first.startswith("|") and (last.startswith("|") or following.startswith("|")):
        raise Conflict(f"a row was added to a table: {first[:80]!r}")


def _opened(lines: Sequence[str]) -> bool:
    """Whether these lines leave a code block, a fold or the metadata open."""
    fence = ""
    folds = 0
    for line in lines:
        if match := _FENCE.match(line):
            mark = line.strip()
            if not fence:
                fence = match[1][0] * (len(mark) - len(mark.lstrip(match[1][0])))
            elif set(mark) == {fence[0]} and len(mark) >= len(fence):
                fence = ""
        elif not fence:
            folds += line.count("<details") - line.count("</details>")
    return bool(fence) or folds != 0 or (bool(lines) and lines[0] == "---" and "---" not in lines[1:])

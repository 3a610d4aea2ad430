"""Grammars in GBNF, read into rules: the same language that llama.cpp decodes under, for runtimes that have none.

The language: https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md. Covered: literals, classes, `.`,
names, groups, `|`, `* + ?` and `{m,n}`, comments. Not covered: tokens named by their number (`<[12]>`), which no two
tokenizers share.

A library was tried for this: llguidance 1.9 turns GBNF into a lexer's greedy terminals, under which the agent's own
answers are refused (`</` is read as more prose), so the few rules are read here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from zoo.errors import DataError

__all__ = ["MOST_REPEATS", "Letters", "Rules", "Way", "read"]

MOST_REPEATS = 2000
"""Of `{m,n}`: llama.cpp's own limit."""
_LAST = 0x10FFFF


@dataclass(frozen=True)
class Letters:
    """One letter out of ranges of code points, in order and without overlap."""

    ranges: tuple[tuple[int, int], ...]

    def holds(self, first: int, last: int) -> bool:
        """Whether any letter from `first` to `last` is one of them."""
        return any(low <= last and first <= high for low, high in self.ranges)


Way = tuple["Letters | str", ...]
"""Letters and names of rules, one after the other."""
Rules = Mapping[str, tuple[Way, ...]]
"""Name -> its alternatives."""


@lru_cache(maxsize=32)
def read(text: str) -> Rules:
    """The rules of a grammar, with the start rule `root`.

    Raises DataError when the text is no GBNF, names a rule that it does not define, has no `root`, or has a rule that
    begins with itself.
    """
    reader = _Reader(text)
    try:
        rules = reader.rules()
    except _NotGbnf as error:
        raise DataError(f"this does not read as a grammar in GBNF, {error}: {text[:60]!r}") from None
    named = {symbol for rule in rules.values() for way in rule for symbol in way if isinstance(symbol, str)}
    if undefined := sorted({*named, "root"} - rules.keys()):
        raise DataError(f"the grammar {text[:60]!r} does not define {', '.join(undefined)}")
    if looping := _begins_with_itself(rules):
        raise DataError(f"the rule {looping} of the grammar {text[:60]!r} begins with itself; put what repeats behind")
    return rules


class _NotGbnf(ValueError):
    """Where the text stops being GBNF."""


_SPACE = re.compile(r"(?:[ \t]|#[^\n]*)*")
_SPACE_AND_LINES = re.compile(r"(?:\s|#[^\n]*)*")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_DEFINED = re.compile(r"([A-Za-z0-9_-]+)[ \t]*::=")
_REPEAT = re.compile(r"\{\s*(\d+)\s*(?:(,)\s*(\d*)\s*)?\}")
_ESCAPED = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([tnr\"\\\[\]-]))")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r"}


class _Reader:
    """A text and how far it is read. Repetitions become rules of their own, with names that no text can have."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._made: dict[str, tuple[Way, ...]] = {}

    def rules(self) -> Rules:
        self._skip(_SPACE_AND_LINES)
        while self._at < len(self._text):
            name = self._take(_DEFINED)[1]
            self._skip(_SPACE_AND_LINES)
            self._made[name] = self._alternatives(nested=False)
            self._skip(_SPACE_AND_LINES)
        return self._made

    def _alternatives(self, nested: bool) -> tuple[Way, ...]:
        found = [self._sequence(nested)]
        while self._next("|"):
            self._skip(_SPACE_AND_LINES)
            found.append(self._sequence(nested))
        return tuple(found)

    def _sequence(self, nested: bool) -> Way:
        found: list[Letters | str] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)\n\r":
            found += self._repeated(self._item())
            self._skip(_SPACE_AND_LINES if nested else _SPACE)
        return tuple(found)

    def _item(self) -> Way:
        if self._next('"'):
            return tuple(_one(code) for code in self._until('"'))
        if self._next("["):
            return (self._class(),)
        if self._next("("):
            self._skip(_SPACE_AND_LINES)
            inner = self._alternatives(nested=True)
            if not self._next(")"):
                raise _NotGbnf("a ( is not closed")
            return (self._rule(inner),)
        if self._next("."):
            return (Letters(((0, _LAST),)),)
        return (self._take(_NAME)[0],)

    def _class(self) -> Letters:
        negated = self._next("^")
        codes = list(self._until("]", ranges=True))
        found = sorted((low, high) for low, high in _ranges(codes))
        return Letters(tuple(_without(found)) if negated else tuple(found))

    def _until(self, end: str, ranges: bool = False) -> Iterator[int]:
        """Code points up to the closing sign; -1 for the - of a range."""
        while not self._next(end):
            if self._at >= len(self._text):
                raise _NotGbnf(f"a closing {end} is missing")
            if match := _ESCAPED.match(self._text, self._at):
                self._at = match.end()
                number = match[1] or match[2] or match[3]
                yield int(number, 16) if number else ord(_ESCAPES.get(match[4], match[4]))
                continue
            letter = self._text[self._at]
            self._at += 1
            if letter == "\\":
                raise _NotGbnf(f"\\{self._text[self._at : self._at + 1]} is no escape")
            yield -1 if ranges and letter == "-" and self._text[self._at : self._at + 1] != end else ord(letter)

    def _repeated(self, item: Way) -> Way:
        sign = self._text[self._at : self._at + 1]
        if sign in ("*", "+", "?"):
            self._at += 1
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        elif match := _REPEAT.match(self._text, self._at):
            self._at = match.end()
            least = int(match[1])
            most = least if not match[2] else int(match[3]) if match[3] else None
        else:
            return item
        if max(least, most or 0) > MOST_REPEATS or (most is not None and most < least):
            raise _NotGbnf(f"it repeats from {least} to {most} times; at most {MOST_REPEATS} are read")
        return (*item * least, *self._optional(item, None if most is None else most - least))

    def _optional(self, item: Way, often: int | None) -> Way:
        """`item` any number of times, or so many at most: each in front of the rest, so that none is read twice."""
        if often is None:
            name = self._rule(())
            self._made[name] = ((*item, name), ())
            return (name,)
        rest: Way = ()
        for _ in range(often):
            rest = (self._rule(((*item, *rest), ())),)
        return rest

    def _rule(self, alternatives: tuple[Way, ...]) -> str:
        name = f" {len(self._made)}"
        self._made[name] = alternatives
        return name

    def _next(self, sign: str) -> bool:
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) if found else 0
        return found

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if match := pattern.match(self._text, self._at):
            self._at = match.end()

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if not match:
            raise _NotGbnf(f"from {self._text[self._at : self._at + 20]!r} on")
        self._at = match.end()
        return match


def _one(code: int) -> Letters:
    return Letters(((code, code),))


def _ranges(codes: list[int]) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(codes):
        is_range = at + 2 < len(codes) and codes[at + 1] == -1
        low, high = codes[at], codes[at + 2] if is_range else codes[at]
        at += 3 if is_range else 1
        yield (ord("-"), ord("-")) if low == -1 else (low, high)


def _without(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Everything else."""
    start = 0
    for low, high in ranges:
        if start < low:
            yield start, low - 1
        start = max(start, high + 1)
    if start <= _LAST:
        yield start, _LAST


def _begins_with_itself(rules: Rules) -> str | None:
    """A rule that is reached from itself before any letter is read."""
    empty = _empty(rules)
    first = {name: {one for way in ways for one in _leading(way, empty)} for name, ways in rules.items()}
    for name in rules:
        seen, pending = set[str](), set(first[name])
        while pending:
            one = pending.pop()
            if one == name:
                return name
            seen.add(one)
            pending |= first[one] - seen
    return None


def _empty(rules: Rules) -> set[str]:
    """The rules that can be nothing at all."""
    found: set[str] = set()
    while more := {
        name
        for name, ways in rules.items()
        if name not in found and any(all(one in found for one in way) for way in ways)
    }:
        found |= more
    return found


def _leading(way: Way, empty: set[str]) -> Iterator[str]:
    for symbol in way:
        if not isinstance(symbol, str):
            return
        yield symbol
        if symbol not in empty:
            return

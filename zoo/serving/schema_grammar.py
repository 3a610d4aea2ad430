"""A JSON Schema as a grammar in GBNF, for answers that are data. What it lets through is compact JSON, keys in order.

Covered: objects whose properties are all required (OpenAI's strict form), arrays, strings, whole and other numbers,
booleans, null, `enum`, `const`, `anyOf`, `oneOf`, `$ref` into `$defs`. Anything else that narrows what is valid is
refused and not ignored. llama.cpp's own converter is of no use here: in the tested wheel it writes another language
than GBNF.
"""

import json
from collections.abc import Mapping
from typing import Any

from zoo.action_grammar import numbers_below
from zoo.errors import DataError

__all__ = ["schema_grammar"]

_SAYS_NOTHING = frozenset({"title", "description", "default", "examples", "$schema", "$id", "$defs", "$comment"})
_KNOWN: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
    "null": frozenset(),
}
_CHARACTER = r'character ::= [^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F])'
_DIGITS = 15
"""Of a number without an upper bound: what a float64 keeps."""


def schema_grammar(schema: Mapping[str, Any]) -> str:
    """The grammar of everything that is valid.

    Raises DataError naming the first part of the schema that is not covered.

    >>> print(schema_grammar({"enum": ["tap", 3]}).splitlines()[0])
    root ::= "\\"tap\\"" | "3"
    """
    writer = _Writer(schema)
    root = writer.rule(schema)
    return "\n".join((f"root ::= {root}", *(f"{name} ::= {rule}" for name, rule in writer.rules.items()), _CHARACTER))


class _Writer:
    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._definitions = schema.get("$defs", {}) if isinstance(schema, Mapping) else {}
        self.rules: dict[str, str] = {}

    def rule(self, schema: Any) -> str:
        """What stands on the right of `::=`."""
        if not isinstance(schema, Mapping):
            raise DataError(f"JSON Schema: {schema!r} is no schema; write an object such as {{'type': 'string'}}")
        words = schema.keys() - _SAYS_NOTHING
        for word in ("const", "enum", "anyOf", "oneOf", "$ref"):
            if word in words:
                _only(words, {word, "type"})
                return self._ways(word, schema[word])
        kind = schema.get("type", "object" if "properties" in schema else None)
        if not isinstance(kind, str) or kind not in _KNOWN:
            raise DataError(f"JSON Schema: type {kind!r} is not covered; known: {', '.join(_KNOWN)}")
        _only(words, _KNOWN[kind] | {"type"})
        return self._typed(kind, schema)

    def _ways(self, word: str, value: Any) -> str:
        if word == "const":
            return _literal(value)
        if word == "enum":
            return " | ".join(_literal(one) for one in value)
        if word == "$ref":
            return self._defined(str(value))
        return " | ".join(f"({self.rule(one)})" for one in value)

    def _defined(self, place: str) -> str:
        found = place.removeprefix("#/$defs/")
        if found not in self._definitions:
            raise DataError(f"JSON Schema: $ref {place!r} points nowhere; only #/$defs/NAME is covered")
        name = f"ref{list(self._definitions).index(found)}"
        if name not in self.rules:
            self.rules[name] = ""  # named before it is written: it may name itself
            self.rules[name] = self.rule(self._definitions[found])
        return name

    def _typed(self, kind: str, schema: Mapping[str, Any]) -> str:
        match kind:
            case "object":
                return self._object(schema)
            case "array":
                return self._array(schema)
            case "string":
                return rf'"\"" character{{{schema.get("minLength", 0)},{schema.get("maxLength", "")}}} "\""'
            case "boolean":
                return '"true" | "false"'
            case "null":
                return '"null"'
        return _number(schema, fraction=kind == "number")

    def _object(self, schema: Mapping[str, Any]) -> str:
        properties = schema.get("properties", {})
        if optional := sorted(properties.keys() - set(schema.get("required", ()))):
            raise DataError(
                f"JSON Schema: {optional[0]} is not required; only objects that are given whole are covered"
            )
        if not properties and schema.get("additionalProperties") is not False:
            raise DataError("JSON Schema: an object without properties may hold anything; name its properties")
        parts = [f"{_literal(name)} {_text(':')} ({self.rule(one)})" for name, one in properties.items()]
        return f" {_text(',')} ".join(parts).join((_text("{") + " ", " " + _text("}")))

    def _array(self, schema: Mapping[str, Any]) -> str:
        item, least, most = f"({self.rule(schema.get('items'))})", schema.get("minItems", 0), schema.get("maxItems")
        if most == 0:
            return _text("[]")
        more = f'("," {item}){{{max(0, least - 1)},{"" if most is None else most - 1}}}'
        return f'"[" {item} {more} "]"' if least else f'"[" ({item} {more})? "]"'


def _only(words: set[str], known: set[str] | frozenset[str]) -> None:
    if unknown := sorted(words - known):
        raise DataError(f"JSON Schema: {unknown[0]} is not covered here; leave it out, or send a grammar in GBNF")


def _number(schema: Mapping[str, Any], fraction: bool) -> str:
    """From 0 or 1 on, with or without a whole upper bound; without bounds, of either sign."""
    low, high = schema.get("minimum"), schema.get("maximum")
    whole = high is None or (isinstance(high, int) and low is not None and high >= max(low, 1))
    if low not in (None, 0, 1) or (fraction and low == 1) or not whole:
        raise DataError(f"JSON Schema: numbers from {low} to {high} are not covered; minimum 0 or 1, a whole maximum")
    digits = f"[1-9] [0-9]{{0,{_DIGITS - 1}}}"
    below = [digits] if high is None else [way for way in numbers_below(high) if way != '"0"']
    ways = " | ".join(below if low == 1 else ['"0"', *below])
    last = "" if high is None else f' | "{high}"'
    tail = f' ("." [0-9]{{1,{_DIGITS}}})?' if fraction else ""
    return f"{'' if low is not None else _text('-') + '? '}({ways}){tail}{last}"


def _literal(value: Any) -> str:
    return _text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _text(text: str) -> str:
    """A literal of GBNF."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

"""A YAML text as plain data that remembers on which line every key stands.

YAML 1.2's core scalars: `1e-5` is a number, `on` and `2024-05-10` are text. A repeated key is refused; anchors and
aliases work, merge keys (`<<`) do not: `extends:` is how a recipe inherits.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from zoo.errors import Problem, RecipeError, did_you_mean

__all__ = ["Place", "Source", "parse", "parse_scalar"]

Place = tuple[str | int, ...]
_DEEPEST = 40


class _Loader(yaml.SafeLoader):
    """PyYAML with YAML 1.2's core schema instead of 1.1's."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own shape)


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


@dataclass(frozen=True)
class Source:
    """Plain data and, for each place in it, where it was written (`file:line`, or an option of the command line)."""

    data: dict[str, Any]
    marks: Mapping[Place, str] = field(default_factory=dict)
    origin: str = ""

    def where(self, place: Place) -> str:
        """Where a place was written; the nearest enclosing one when it was not written at all."""
        while place and place not in self.marks:
            place = place[:-1]
        return self.marks.get(place, self.origin)

    def over(self, base: "Source") -> "Source":
        """This source laid over another: mappings merge, anything else replaces, `null` removes."""
        merged = _merge(base.data, self.data)
        return Source(merged, {**base.marks, **self.marks}, self.origin)

    def having(self, place: Place, value: Any, where: str) -> "Source":
        """This source with one value set; mappings on the way are made when they are missing.

        Raises RecipeError when the way leads through something that is neither a mapping nor a list.
        """
        return Source(_with(self.data, place, value, where), {**self.marks, place: where}, self.origin)


def parse(text: str, origin: str) -> Source:
    """Read a recipe's text.

    Raises RecipeError for text that is no YAML, whose top is no mapping, or that repeats a key; all repeats at once.
    """
    loader = _Loader(text)
    problems: list[Problem] = []
    marks: dict[Place, str] = {}
    try:
        node = loader.get_single_node()
        data = _build(loader, node, (), origin, marks, problems) if node else {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError([Problem(f"{origin}:{line}", f"this is no YAML: {error.problem}")]) from error
    finally:
        loader.dispose()
    if not problems and not isinstance(data, dict):
        problems.append(
            Problem(f"{origin}:1", f"a recipe is a mapping, this is {data!r}", "write name: ..., stages: ...")
        )
    if problems:
        raise RecipeError(problems)
    return Source(data, marks, f"{origin}:1")


def parse_scalar(text: str) -> Any:
    """One value as it would be read behind a colon: `1e-4` is a number, `[a, b]` a list, anything odd is text."""
    try:
        return parse(f"value: {text}", "").data["value"]
    except RecipeError:
        return text


def _build(
    loader: _Loader, node: yaml.Node, place: Place, origin: str, marks: dict[Place, str], problems: list[Problem]
) -> Any:
    where = f"{origin}:{node.start_mark.line + 1}"
    if len(place) > _DEEPEST:
        problems.append(Problem(where, "nested too deeply; does an anchor contain itself?"))
        return None
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            marks[(*place, index)] = f"{origin}:{item.start_mark.line + 1}"
            items.append(_build(loader, item, (*place, index), origin, marks, problems))
        return items
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(loader, node, place, origin, marks, problems)
    return loader.construct_object(node)


def _build_mapping(
    loader: _Loader, node: yaml.MappingNode, place: Place, origin: str, marks: dict[Place, str], problems: list[Problem]
) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        where = f"{origin}:{key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(Problem(where, "a key is one word, not a list or mapping"))
            continue
        key = key_node.value
        if key == "<<":
            problems.append(
                Problem(where, "merge keys (<<) are not read", "use extends: in the recipe, or repeat the keys")
            )
        elif key in mapping:
            first = marks[(*place, key)]
            problems.append(Problem(where, f"{key!r} is written twice, first at {first}", "keep one of them"))
        else:
            marks[(*place, key)] = where
            mapping[key] = _build(loader, value_node, (*place, key), origin, marks, problems)
    return mapping


def _merge(base: Any, over: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    merged = {**base, **{key: _merge(base.get(key), value) for key, value in over.items()}}
    return {key: value for key, value in merged.items() if value is not None or key not in over}


def _with(data: Any, place: Place, value: Any, where: str) -> Any:
    if not place:
        return value
    head, *rest = place
    if isinstance(data, dict):
        return {**data, str(head): _with(data.get(str(head), {}), tuple(rest), value, where)}
    if isinstance(data, list):
        if str(head).isdigit() and int(head) < len(data):
            index = int(head)
            return [*data[:index], _with(data[index], tuple(rest), value, where), *data[index + 1 :]]
        known = [str(index) for index in range(len(data))]
        raise RecipeError(
            [Problem(where, f"{head!r} is no index of a list of {len(data)}", did_you_mean(str(head), known))]
        )
    raise RecipeError([Problem(where, f"{head!r} cannot be set inside {data!r}", "give the key of a mapping or list")])

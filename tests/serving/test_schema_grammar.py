"""A JSON Schema narrows what is said to what is valid, in every form that the agent's own schemas take."""

import json

import pytest

from zoo.action_grammar import answer_schema, as_data, call_schema
from zoo.actions import Action
from zoo.errors import DataError
from zoo.serving import gbnf
from zoo.serving.schema_grammar import schema_grammar
from zoo.serving.token_grammar import END, Machine


def valid(schema: dict[str, object], text: str) -> bool:
    """Whether the grammar lets a text through to its end."""
    machine = Machine(gbnf.read(schema_grammar(schema)))
    found = machine.read(machine.start(), text.encode())
    return found is not None and END in found[0] and not found[1]


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


ACTIONS = [
    Action("tap", (3,)),
    Action("text", ('é "\\ \n',)),
    Action("swipe", (12, "up", "long")),
    Action("wait", (86_400,)),
    Action("wait", (0.25,)),
    Action("back"),
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_the_agents_own_schemas_let_its_calls_through(action: Action) -> None:
    assert valid(call_schema(), compact(as_data(action))) and valid(call_schema([3, 12]), compact(as_data(action)))
    answer = {"reasoning": "So.", "state_assessment": "On Home.", "call": as_data(action)}
    assert valid(answer_schema([3, 12]), compact(answer))
    assert not valid(answer_schema([3, 12]), compact({"call": as_data(action)}))


def test_what_is_not_valid_is_not_said() -> None:
    for wrong in (
        as_data(Action("tap", (4,))),
        {"name": "fly", "arguments": {}},
        {"name": "back", "arguments": {"n": 1}},
    ):
        assert not valid(call_schema([3, 12]), compact(wrong))
    assert not valid(call_schema(), compact(as_data(Action("wait", (86_401,)))))


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 12}, [1, 9, 10, 12], [0, 13, -1, 1.5]),
        ({"type": "integer", "minimum": 1, "maximum": 9}, [1, 5, 9], [0, 10]),
        ({"type": "integer", "minimum": 1, "maximum": 1}, [1], [0, 2]),
        ({"type": "integer", "minimum": 0, "maximum": 1}, [0, 1], [2]),
        ({"type": "integer"}, [0, -7, 123], [1.5, "1"]),
        ({"type": "number", "minimum": 0}, [0, 1.25], [-1]),
        (
            {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
            [[True], [True, False]],
            [[], 3],
        ),
        ({"type": "array", "items": {"type": "null"}}, [[], [None], [None] * 5], [[1]]),
        ({"type": "string", "maxLength": 2}, ["", "é\n"], ["abc"]),
        ({"const": {"a": [1, "x"]}}, [{"a": [1, "x"]}], [{}]),
        ({"oneOf": [{"enum": ["a", None]}, {"type": "boolean"}]}, ["a", None, True], ["b"]),
        (
            {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}},
            [[], [[], [[]]]],
            [[1]],
        ),
    ],
)
def test_every_covered_word_means_what_it_says(
    schema: dict[str, object], good: list[object], bad: list[object]
) -> None:
    assert [value for value in good if not valid(schema, compact(value))] == []
    assert [value for value in bad if valid(schema, compact(value))] == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "string", "pattern": "a+"}, "pattern is not covered"),
        ({"type": "object", "properties": {"a": {"type": "null"}}}, "a is not required"),
        ({"type": "object"}, "may hold anything"),
        ({"type": ["string", "null"]}, "is not covered"),
        ({"type": "integer", "minimum": -5}, "from -5 to None"),
        ({"$ref": "#/elsewhere"}, "points nowhere"),
        (3, "is no schema"),
        ({}, "type None is not covered"),
    ],
)
def test_what_is_not_covered_is_refused_and_not_ignored(schema: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        schema_grammar(schema)

"""What counts as a right call in `benchmarks/real_teacher.py`, and what no training question has seen."""

import json
from typing import Any

import pytest
from real_teacher import _parted, accepted

REFERENCE = {
    "book.table": {"city": ["New York", "NYC"], "guests": [2], "window": [True, ""], "dishes": [["soup"], ["stew"]]}
}
QUESTION = {"id": "q_0", "asked": "?", "function": {"name": "book.table"}, "reference": REFERENCE}
GOLD: dict[str, Any] = {"city": "new york.", "guests": 2, "dishes": ["Soup"]}


def said(arguments: Any, name: str = "book.table") -> str:
    return json.dumps({"name": name, "arguments": arguments})


@pytest.mark.parametrize(
    "answer", [said(GOLD), f"```json\n{said(GOLD)}\n```", said({**GOLD, "window": True}), said({**GOLD, "city": "NYC"})]
)
def test_a_call_that_the_reference_lists_is_accepted(answer: str) -> None:
    assert accepted(QUESTION, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "", "none", "{", "[1]", said(None), said({}), said(GOLD, name="book.chair"), said({**GOLD, "guests": 3}),
        said({**GOLD, "window": 1}), said({**GOLD, "dishes": "soup"}), said({**GOLD, "more": 1}),
        said({"city": "NYC", "guests": 2}),
    ],
)  # fmt: skip
def test_anything_else_is_not(answer: str) -> None:
    assert not accepted(QUESTION, answer)


def test_no_function_of_a_held_out_question_is_ever_shown() -> None:
    questions = [{"id": f"q_{number}", "function": {"name": f"f{number % 30}"}} for number in range(90)]
    shown, held_out = _parted(questions, 40, 10)
    assert len(held_out) == 10
    assert len(shown) == 40
    assert not {one["function"]["name"] for one in shown} & {one["function"]["name"] for one in held_out}

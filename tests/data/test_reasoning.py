"""A teacher that words known steps: what is taken, what is asked again, what becomes of memory and cost."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from openai_server import serving

from zoo.actions import parse, read_answer
from zoo.data.reasoning import accepted
from zoo.errors import DataError, ModelError

OPENPHONE = "Current State: home.\nRequired Change: open it.\nAction Need: tap."


def answer(call: str, assessment: str = OPENPHONE) -> str:
    return (
        f"<REASONING>I see it.</REASONING>\n<STATE_ASSESSMENT>{assessment}</STATE_ASSESSMENT>\n"
        f"<CALLED_FUNCTION>{call}</CALLED_FUNCTION>"
    )


class Teacher:
    """Explains anything; as writer, it fits from the given try on. Words each state with the number of its request."""

    def __init__(self, fits_at: int = 1) -> None:
        self.fits_at, self.written, self.tries = fits_at, 0, {}

    def __call__(self, body: dict[str, Any]) -> str:
        system, user = (message["content"] for message in body["messages"])
        if "expert in operating phones" in system:
            return f"Because of {hash(str(user)) % 997}."
        call = re.search(r"Call: (.*)$", user)[1]
        self.tries[user] = self.tries.get(user, 0) + 1
        if self.tries[user] < self.fits_at:
            return answer("back()" if call != "back()" else "home()")
        self.written += 1
        return answer(call, f"Current State: s{self.written}.\nRequired Change: r.\nAction Need: a.")


def settings(url: str, **changes: Any) -> dict[str, Any]:
    teacher = {"url": url, "model": "teacher", "parallel": 1, "prompt_price": 1.0, "answer_price": 1.0}
    return {"tasks": 3, "reason": {"teacher": teacher, "tries": 3}, **changes}


def test_rows_say_what_the_teacher_wrote_around_the_call_that_was_known(made: Any) -> None:
    plain, _, _ = made({"tasks": 3})
    with serving(Teacher()) as (url, asked):
        rows, result, _ = made(settings(url))
    assert [row["solution"] for row in rows] == [row["solution"] for row in plain]
    for row in rows:
        said = read_answer(row["completion"][0]["content"])
        assert said.reasoning == "I see it." and said.action == parse(row["solution"])
    assert len(asked) == 2 * len(rows)
    assert result.notes["teacher"]["answers"] == result.notes["writer"]["answers"] == len(rows)
    assert result.metrics["teacher_cost"].value == pytest.approx(107 * len(asked) / 1e6)
    assert not result.notes["teacher"]["reproducible"]


def test_the_memory_of_later_steps_is_what_the_teacher_assessed_before(made: Any) -> None:
    with serving(Teacher()) as (url, asked):
        rows, _, _ = made(settings(url))
    later = [(before, row) for before, row in pairwise(rows) if row["step"] == before["step"] + 1]
    assert later
    for before, row in later:
        state = re.search(r"Current State: s\d+\.", before["completion"][0]["content"])[0]
        assert state in row["prompt"][1]["content"]
    explained = [body["messages"][1]["content"] for _, body in asked if "expert in" in body["messages"][0]["content"]]
    assert "The right call: " in explained[0] and rows[0]["prompt"][1]["content"] in explained[0]


def test_another_call_is_asked_again_and_in_the_end_dropped_and_counted(made: Any) -> None:
    with serving(Teacher(fits_at=2)) as (url, asked):
        rows, result, _ = made(settings(url))
    # Rows that ask the same share an answer, unless both were under way at once.
    assert 2 * len(rows) < len(asked) <= 3 * len(rows)
    assert result.notes["dropped"] == {}
    why = "no fitting answer of the teacher in 3 tries"
    with serving(Teacher(fits_at=9)) as (url, _), pytest.raises(DataError, match=why):
        made(settings(url))


def test_a_stage_that_was_cut_off_asks_only_for_what_is_missing(made: Any, tmp_path: Path) -> None:
    count = iter(range(4))

    class Dying(Teacher):
        def __call__(self, body: dict[str, Any]) -> Any:
            return 403 if next(count, None) is None else super().__call__(body)

    scratch = tmp_path / "scratch"
    with serving(Dying()) as (url, _), pytest.raises(ModelError, match="status 403"):
        made(settings(url), scratch=scratch)
    with serving(Teacher()) as (url, asked):
        rows, _, _ = made(settings(url), scratch=scratch)
    assert len(asked) == 2 * len(rows) - 4


def test_only_rows_that_are_kept_are_paid_for(made: Any) -> None:
    with serving(Teacher()) as (url, asked):
        rows, result, _ = made(settings(url, limit=2))
    assert len(rows) == 2 and len(asked) == 4
    assert "beyond the limit" in result.notes["dropped"]


def test_rows_of_a_dataset_with_pictures_are_shown_to_the_teacher(made: Any, tmp_path: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8
    (tmp_path / "shot.png").write_bytes(png)
    record = {"instruction": "Tap red.", "input": "<image>", "system": "s", "output": "tap(2)", "images": ["shot.png"]}
    (tmp_path / "data.jsonl").write_text(json.dumps(record) + "\n")
    shown: list[Any] = []

    def teach(body: dict[str, Any]) -> str:
        shown.append(body["messages"][1]["content"])
        return answer("tap(2)")

    with serving(teach) as (url, _):
        rows, _, out = made(settings(url, source="dataset"), dataset=tmp_path / "data.jsonl")
    assert shown[0][1]["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")
    assert rows[0]["completion"][0]["content"] == answer("tap(2)")
    assert (out / rows[0]["images"][0]).read_bytes() == png


@pytest.mark.parametrize(
    ("text", "style", "taken"),
    [
        (answer("tap(3)"), "openphone", True),
        (answer("tap( 3 )"), "openphone", True),
        (answer("tap(4)"), "openphone", False),
        (answer("tap(3)") + "\nHope this helps.", "openphone", False),
        (answer("tap(3)", "On Home."), "openphone", False),
        (answer("tap(3)", "On Home."), "terse", True),
        (answer("tap(3)", ""), "terse", False),
        ("tap(3)", "terse", False),
        ("", "terse", False),
    ],
)
def test_what_is_taken_of_a_writer(text: str, style: str, taken: bool) -> None:
    found = accepted(text, parse("tap(3)"), style)
    assert (found is not None) == taken
    assert found is None or "<CALLED_FUNCTION>tap(3)</CALLED_FUNCTION>" in found


def test_androidlabs_type_is_read_as_text() -> None:
    assert 'text("milk")' in accepted(answer('type("milk")'), parse('text("milk")'), "openphone")

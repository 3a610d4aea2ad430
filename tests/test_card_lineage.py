"""What a distilled model began from is its student's base; a teacher is named in the drawing, not as its base."""

from example_records import record

from zoo.cards.lineage import drawing, models
from zoo.records import StageRecord

STUDENT, TEACHER = "small/student@0a1b", "big/teacher@2c3d"


def records() -> dict[str, StageRecord]:
    made = [
        record("teacher", "sft", {"model": TEACHER, "data": "stage:key-of-rows"}, {}),
        record("logits", "logits", {"model": "stage:key-of-teacher", "render": STUDENT}, {}),
        record("taught", "distill", {"model": STUDENT, "logits": "stage:key-of-logits"}, {}),
        record("own", "distill", {"model": "stage:key-of-taught", "teacher": "stage:key-of-teacher"}, {}),
    ]
    return {one.name: one for one in made}


def test_a_teacher_is_no_base_model() -> None:
    assert models(records(), "stage:key-of-own") == {"small/student": "0a1b"}
    assert models(records(), "stage:key-of-teacher") == {"big/teacher": "2c3d"}


def test_the_drawing_shows_who_taught() -> None:
    assert "big/teacher<br/>@2c3d" in drawing(records(), {"me/mine": "stage:key-of-own"})

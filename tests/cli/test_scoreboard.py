"""The table of an evaluation: whole cells in any width, and nothing left out in silence."""

import io

import pytest
from rich.console import Console

from zoo.cli.scoreboard import score_table
from zoo.playground import EpisodeRecord, StepRecord, measures

SEVEN = ["SR %", "Sub-SR", "RRR", "ROR", "steps", "s/step", "tokens"]


def record(number, success, app, expert_steps, verdict=None):
    steps = tuple(StepRecord(f";;Screen {at}", "", "back()", 14.7, 65, 1290) for at in range(3 + number % 9))
    return EpisodeRecord(
        number, f"t{number}", f"{app}.open", "operation", app, "Do.", success, (success, True), "finish",
        expert_steps=expert_steps, steps=steps, judge=None if verdict is None else {"verdict": verdict, "text": ""},
    )  # fmt: skip


def drawn(records, width):
    out = io.StringIO()
    Console(file=out, width=width).print(score_table(records, width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


RECORDS = [record(at, at % 3 > 0, ("clock", "calendar", "settings")[at % 3], 1 + at % 18) for at in range(120)]
GROUPS = 1 + 3 + 5


def test_the_seven_measures_of_the_playground_fit_into_eighty_columns():
    head, *rows, caption = drawn(RECORDS, 80)
    assert " ".join(head.split()) == f"n {' '.join(SEVEN)}"
    assert len(rows) == GROUPS
    assert caption == "in table.csv alone: valid, prompt"
    found = measures(RECORDS)
    rate, steps = found["success_rate"], found["steps_per_episode"]
    assert rows[0].split()[:4] == [
        "all", "120", f"{100 * rate.value:.1f}", f"{100 * rate.low:.0f}..{100 * rate.high:.0f}",
    ]  # fmt: skip
    assert rows[0].split()[-3:] == [f"{steps.value:.1f}", "14.700", "65.0"]
    assert rows[-1].startswith("16 steps or more")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_no_cell_is_cut(width):
    head, *rest = drawn(RECORDS, width)
    rows, caption = rest[:GROUPS], " ".join(rest[GROUPS:])
    assert all(len(line) <= width for line in (head, *rest))
    shown = head.replace(" %", "").split()[1:]
    named = caption.removeprefix("in table.csv alone: ").split(", ") if caption else []
    assert shown + named == [*(one.removesuffix(" %") for one in SEVEN), "valid", "prompt"]
    assert all(head.endswith(row) or len(row) == len(head) for row in rows if row)


def test_a_wide_terminal_shows_everything_and_a_judge_only_where_one_was_asked():
    assert drawn(RECORDS, 120)[0].split()[-3:] == ["valid", "%", "prompt"]
    judged = [record(at, True, "clock", 2, verdict=at > 0) for at in range(4)]
    for width in (80, 140):
        head, first, *_ = drawn(judged, width)
        assert "judge agrees %" in head
        assert "75.0 30..95" in first


def test_a_measure_without_a_sample_in_one_group_leaves_its_cell_empty():
    head, *rows = drawn([record(0, True, "clock", 2), record(1, False, "settings", 2)], 80)
    start = head.index("RRR") - 2
    cells = {row.split()[0]: row[start : start + 5].strip() for row in rows[:3]}
    assert cells == {"all": "66.7", "clock": "66.7", "settings": ""}

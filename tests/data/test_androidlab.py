"""Traces of AndroidLab's recorder as rows. The dumps are handwritten in uiautomator's format."""

import json
from pathlib import Path
from typing import Any

import pytest

from zoo.data import read_rows
from zoo.errors import DataError

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8
XML = """<?xml version='1.0' encoding='UTF-8'?>
<hierarchy rotation="0"><node class="android.widget.FrameLayout" bounds="[0,0][1080,2400]">
<node class="android.widget.Button" text="Alarm" clickable="true" bounds="[0,100][540,300]"/>
<node class="android.widget.Button" text="Timer" clickable="true" bounds="[540,100][1080,300]"/>
<node class="androidx.recyclerview.widget.RecyclerView" scrollable="true" bounds="[0,300][1080,2400]"/>
</node></hierarchy>"""


def do(action: str, **arguments: Any) -> dict[str, Any]:
    return {"operation": "do", "action": action, "kwargs": arguments}


FINISH = {"operation": "finish", "action": "finish", "kwargs": {"message": "Done."}}


def trace(folder: Path, *actions: dict[str, Any], **more: Any) -> Path:
    task = folder / "clock_3_2024-05-10"
    (task / "traces").mkdir(parents=True)
    (task / "xml").mkdir()
    steps = []
    for at, action in enumerate(actions):
        (task / "xml" / f"{at}.xml").write_text(XML)
        recorded = f"/home/somebody/logs/{task.name}/xml/{at}.xml"
        steps.append(
            {
                "trace_id": 1,
                "index": at,
                "target": "Open the timer.",
                "xml": recorded,
                "current_activity": "com.google.android.deskclock/.DeskClock",
                "parsed_action": action,
                "current_response": "so",
                **more,
            }
        )
    (task / "traces" / "trace.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    return folder


def settings(**changes: Any) -> dict[str, Any]:
    return {"source": "dataset", "format": "androidlab", "agent": {"memory": "actions"}, **changes}


def test_bounds_and_points_become_the_numbers_on_the_screen_that_the_agent_sees(made: Any, tmp_path: Path) -> None:
    actions = [
        do("Tap", element=[540, 100, 1080, 300]),
        do("Long Press", element=(20, 120)),
        do("Swipe", element=[0, 300, 1080, 2400], direction="up", dist="long"),
        do("Type", text="milk"),
        do("Press Back"),
        do("Wait"),
        FINISH,
    ]
    rows, result, _ = made(settings(), dataset=trace(tmp_path, *actions))
    assert [row["solution"] for row in rows] == [
        "tap(2)",
        "long_press(1)",
        'swipe(3, "up", "long")',
        'text("milk")',
        "back()",
        "wait(5)",
        'finish("Done.")',
    ]
    asked = rows[1]["prompt"][1]["content"]
    assert "Open the timer." in asked and "[2] Button ;click; ;;Timer" in asked and "com.google" in asked
    assert "tap(2)" in asked  # the memory of calls
    assert rows[0]["template"] == "clock.3" and result.notes["episodes"] == {"kept": 1}
    assert "<CALLED_FUNCTION>tap(2)</CALLED_FUNCTION>" in rows[0]["completion"][0]["content"]


def test_steps_without_counterpart_are_no_rows_and_are_counted(made: Any, tmp_path: Path) -> None:
    actions = [do("Launch", app="Clock"), do("Tap", element=[5000, 1, 5001, 2]), do("Press Enter"), FINISH]
    rows, result, _ = made(settings(), dataset=trace(tmp_path, *actions))
    assert [row["step"] for row in rows] == [3]
    assert result.notes["dropped"] == {
        "a call without counterpart: Launch": 1,
        "a call without counterpart: Press Enter": 1,
        "an element that is not on the screen": 1,
    }


def test_a_trace_that_never_finishes_is_left_out(made: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 of a trace that does not end with finish"):
        made(settings(), dataset=trace(tmp_path, do("Press Home"), do("Press Home")))


def test_labelled_screenshots_become_rows_with_that_picture_and_its_numbers(made: Any, tmp_path: Path) -> None:
    (tmp_path / "clock_3_2024-05-10" / "Screen").mkdir(parents=True)
    (tmp_path / "clock_3_2024-05-10" / "Screen" / "shot_labeled.png").write_bytes(PNG)
    (tmp_path / "clock_3_2024-05-10" / "traces").mkdir()
    steps = [
        {"target": "Open it.", "labeled_image": "C:\\logs\\shot_labeled.png", "current_response": said}
        for said in ("I see it. type('milk')", "<CALLED_FUNCTION>tap(7)</CALLED_FUNCTION>", "finish()")
    ]
    file = tmp_path / "clock_3_2024-05-10" / "traces" / "trace.jsonl"
    file.write_text("".join(json.dumps(step) + "\n" for step in steps))
    rows, _, out = made(settings(), dataset=tmp_path)
    assert [row["solution"] for row in rows][:2] == ['text("milk")', "tap(7)"]
    assert all((out / row["images"][0]).read_bytes() == PNG for row in read_rows(out))
    assert "[1]" not in rows[0]["prompt"][1]["content"]


def test_what_is_no_trace_is_refused(made: Any, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(DataError, match="record 1 is no step of AndroidLab; it has a"):
        made(settings(), dataset=tmp_path)

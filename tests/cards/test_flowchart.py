"""Lineage drawn without a script."""

import re

import example_records as example
import pytest

from zoo.cards import flowchart, model_card


def drawing() -> str:
    return re.findall(r"```mermaid\n(.+?)```", model_card(example.data()), re.DOTALL)[0]


def test_the_drawing_of_a_card_shows_every_stage_and_every_arrow() -> None:
    svg = str(flowchart.draw(drawing()))
    labels = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert {*example.run(), "zoo/pocket-135m", "zoo/pocket-135m-GGUF"} <= set(labels)
    arrows = re.findall(r'<path d="', svg)
    assert len(arrows) == drawing().count("-->") > 10


def test_nothing_is_drawn_over_anything_else() -> None:
    svg = str(flowchart.draw(drawing()))
    boxes = [tuple(map(int, box)) for box in re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', svg)]
    assert len(boxes) == len(example.run()) + 3
    for index, (x, y, width, height) in enumerate(boxes):
        for other_x, other_y, other_width, other_height in boxes[index + 1 :]:
            apart = x + width <= other_x or other_x + other_width <= x
            assert apart or y + height <= other_y or other_y + other_height <= y


def test_what_stands_in_a_label_is_text() -> None:
    svg = str(flowchart.draw('graph LR\n  n0["<script>alert(1)</script> & co"]'))
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


@pytest.mark.parametrize(
    "source",
    [
        "",
        "sequenceDiagram\n A->>B: hi",
        "graph LR; A-->B",
        'graph LR\n a["x"]\n a --> b',
        'graph LR\n a["x"]\n b["y"]\n a --> b\n b --> a',
        'graph LR\n a["x"]\n click a "javascript:alert(1)"',
        "graph LR\n" + "".join(f' n{number}["x"]\n' for number in range(300)),
    ],
)
def test_anything_else_is_left_to_who_can_draw_it(source: str) -> None:
    assert flowchart.draw(source) is None

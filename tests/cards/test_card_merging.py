"""What a hand wrote into a card on the Hub, and a later card."""

import example_records as example
import pytest

from zoo.cards import merging, model_card
from zoo.cards.merging import Conflict, merge

BEFORE = model_card(example.data())
LATER = model_card(example.data(example.without_metric(example.run(), "grpo-score", "sub_goal_rate")))


def edited(old: str, new: str) -> str:
    assert BEFORE.count(old) == 1, old
    return BEFORE.replace(old, new)


def test_the_two_cards_differ_in_their_numbers() -> None:
    assert BEFORE != LATER
    assert "44.0 %" in BEFORE
    assert "44.0 %" not in LATER


def test_a_card_that_nobody_touched_becomes_the_later_one() -> None:
    assert merge(BEFORE, BEFORE, LATER) == LATER
    assert merge(BEFORE, BEFORE.replace("\n", "\r\n"), LATER) == LATER


@pytest.mark.parametrize(
    "heading", ["## What it does", "## Use", "## Results", "## Files", "## Limits and safety", "## Citation"]
)
def test_a_paragraph_before_a_heading_is_kept_where_it_stood(heading: str) -> None:
    text = edited(f"\n{heading}\n", f"\nMind the step, says Ada.\n\n{heading}\n")
    merged = merge(BEFORE, text, LATER)
    assert merged == LATER.replace(f"\n{heading}\n", f"\nMind the step, says Ada.\n\n{heading}\n")


def test_a_section_at_the_end_is_kept_and_stays_when_it_is_merged_again() -> None:
    own = "\n## News\n\n- Seen on a shelf.\n\n```sh\necho mine\n```\n"
    once = merge(BEFORE, BEFORE + own, LATER)
    assert once == LATER + own
    assert merge(LATER, once, BEFORE) == BEFORE + own


def test_a_list_can_be_added_to_below_its_last_line() -> None:
    line = "- On a real phone, in other languages or in general conversation: *not run*."
    merged = merge(BEFORE, edited(line, line + "\n\nAda tried it on hers.\n"), LATER)
    assert merged.index(line) < merged.index("Ada tried it") < merged.index("## Use")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("58.0 % → 34.0 %", "58.0 % → 94.0 %", "changed or removed: '- merged"),
        ("34.0 % | 100", "94.0 % | 100", "changed or removed"),
        ("license: apache-2.0", "license: mit", "metadata"),
        ("## Citation\n", "", "changed or removed: '## Citation'"),
        ("answer = pipeline(", "import os\n\nanswer = pipeline(", "inside a code block"),
        ("</summary>\n\n", "</summary>\n\nmine\n\n", "inside a code block or a fold"),
        ("## Citation\n", "<details><summary>open\n\n## Citation\n", "code block or a fold"),
        ("## Citation\n", "```\n\n## Citation\n", "code block or a fold"),
    ],
)
def test_what_would_change_what_is_generated_is_refused_with_its_line(old: str, new: str, said: str) -> None:
    assert old in BEFORE
    with pytest.raises(Conflict, match=said):
        merge(BEFORE, BEFORE.replace(old, new, 1), LATER)


def test_a_row_of_ones_own_in_a_table_of_measurements_is_refused() -> None:
    row = next(line for line in BEFORE.splitlines() if line.startswith("| base "))
    with pytest.raises(Conflict, match="table"):
        merge(BEFORE, edited(row, row + "\n" + row.replace("base", "mine")), LATER)


def test_an_addition_whose_surroundings_are_gone_is_refused() -> None:
    base, later = "# A\n\nOne.\n\nTwo.\n", "# B\n\nThree.\n"
    with pytest.raises(Conflict, match=r"after 'One\.', which the later card does not say"):
        merging.merge(base, base.replace("Two.", "Mine.\n\nTwo."), later)

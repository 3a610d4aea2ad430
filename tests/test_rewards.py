"""Gold answers score in full, junk scores nothing, and the values between are OpenPhone's."""

import pickle
from typing import Any

import pytest

from zoo.actions import Action, write, write_answer
from zoo.registry import REWARDS, load
from zoo.rewards import ActionReward, FormatReward, same_words

REASONING = "<REASONING>The switch is off.</REASONING>"
ASSESSMENT = "<STATE_ASSESSMENT>Current State: settings.</STATE_ASSESSMENT>"
CALLED = "<CALLED_FUNCTION>tap(3)</CALLED_FUNCTION>"

EVERY_CALL = [
    Action("tap", (3,)),
    Action("text", ('say "hi", then\nleave',)),
    Action("long_press", (12,)),
    Action("swipe", (1, "up", "long")),
    Action("back"),
    Action("home"),
    Action("wait", (5,)),
    Action("finish", ("The task has been finished.",)),
    Action("finish", ("The alarm is set for 7:30.",)),
]


@pytest.mark.parametrize("action", EVERY_CALL, ids=write)
def test_a_gold_answer_scores_in_full(action: Action) -> None:
    gold = write_answer("Because.", "Current State: home.", action)
    assert FormatReward()(completions=[gold]) == [1.0]
    assert ActionReward()(completions=[gold], solution=[write(action)]) == [1.0]


@pytest.mark.parametrize("junk", ["", "I cannot help with that.", "<<<>>>", "tap(", "\x00\ufffd" * 9, "}{" * 500])
def test_junk_scores_nothing(junk: str) -> None:
    assert FormatReward()(completions=[junk]) == [0.0]
    assert ActionReward()(completions=[junk], solution=["tap(3)"]) == [0.0]


@pytest.mark.parametrize(
    ("text", "score"),
    [
        (REASONING + ASSESSMENT + CALLED, 1.0),
        (f"\n{REASONING}\n\n{ASSESSMENT}\n{CALLED}\n", 1.0),
        (REASONING + ASSESSMENT + CALLED + " and so on", 0.5),
        (REASONING + ASSESSMENT, 0.6),
        (REASONING + CALLED, 0.7),
        (ASSESSMENT + CALLED, 0.7),
        (CALLED, 0.4),
        ("Sure! " + CALLED, 0.2),
        (REASONING, 0.3),
        (REASONING + ASSESSMENT + "<CALLED_FUNCTION>tap(3)", 0.3),
        ("<REASONING></REASONING>" + ASSESSMENT + CALLED, 0.7),
        (CALLED + ASSESSMENT + REASONING, 1.0),
    ],
)
def test_the_format_is_worth_what_openphone_gives(text: str, score: float) -> None:
    assert FormatReward()(completions=[text]) == [pytest.approx(score)]


@pytest.mark.parametrize(
    ("said", "right", "score"),
    [
        ("tap(3)", "tap(3)", 1.0),
        ("tap(index=3)", "tap(3)", 1.0),
        ("tap(4)", "tap(3)", 0.0),
        ("long_press(3)", "tap(3)", 0.0),
        ("text('milk')", 'text("milk")', 1.0),
        ('text("Milk")', 'text("milk")', 0.0),
        ('swipe(1, "up")', 'swipe(1, "up", "medium")', 1.0),
        ("finish()", 'finish("The task has been finished.")', 1.0),
        ('finish("the task has been finished")', 'finish("The task has been finished.")', 0.0),
        ('finish("it is  7:30")', 'finish("It is 7:30!")', 1.0),
        ('finish("it is 8:30")', 'finish("It is 7:30!")', 0.0),
        ("finish()", 'finish("It is 7:30!")', 0.0),
        ('text("It is 7:30!")', 'finish("It is 7:30!")', 0.0),
        ("tap(3)", 'finish("It is 7:30!")', 0.0),
    ],
)
def test_the_called_function_is_right_or_wrong(said: str, right: str, score: float) -> None:
    completion = f"{REASONING}{ASSESSMENT}<CALLED_FUNCTION>{said}</CALLED_FUNCTION>"
    assert ActionReward()(completions=[completion], solution=[right]) == [score]


def alike(a: str, b: str) -> float:
    return 0.75


def test_another_similarity_decides_over_the_message_and_never_over_the_function() -> None:
    reward = ActionReward(similarity=alike)
    right = ['finish("It is on.")'] * 2
    assert reward(completions=['finish("Bluetooth works")', 'text("It is on.")'], solution=right) == [1.0, 0.0]
    assert ActionReward(similarity=alike, threshold=0.8)(completions=["finish('x')"], solution=right[:1]) == [0.0]


def test_messages_count_as_their_last_ones_text() -> None:
    plain: list[dict[str, Any]] = [{"role": "assistant", "content": CALLED}]
    blocks: list[dict[str, Any]] = [{"role": "assistant", "content": [{"type": "text", "text": CALLED}]}]
    assert ActionReward()(completions=[plain, blocks], solution=["tap(3)"] * 2) == [1.0, 1.0]
    assert FormatReward()(completions=[plain, blocks, []]) == [0.4, 0.4, 0.0]


def test_a_row_whose_solution_is_no_call_is_a_mistake_not_a_score() -> None:
    with pytest.raises(ValueError, match="'press the button' is no call"):
        ActionReward()(completions=[CALLED], solution=["press the button"])


@pytest.mark.parametrize("name", REWARDS)
def test_every_reward_travels_to_another_process(name: str) -> None:
    reward = load(REWARDS[name])()
    again = pickle.loads(pickle.dumps(reward))
    columns = {"completions": [REASONING + CALLED], "solution": ["tap(3)"]}
    assert again == reward and again(**columns) == reward(**columns)
    assert reward.__name__ == name


def test_words_are_compared_without_case_punctuation_and_spaces() -> None:
    assert same_words("  Öffne „WLAN“ ", "öffne wlan") == 1.0
    assert same_words("on", "off") == 0.0

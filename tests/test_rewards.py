"""Gold answers score in full, junk scores nothing, and the values between are OpenPhone's."""

import pickle
from typing import Any

import pytest

from zoo.actions import Action, write, write_answer
from zoo.registry import EPISODE_REWARDS, REWARDS, load
from zoo.rewards import (
    ActionReward,
    EpisodeFormatReward,
    EpisodeOverlongReward,
    FormatReward,
    OutcomeReward,
    OverlongReward,
    ReadableReward,
    SubGoalReward,
    SuccessReward,
    same_words,
)

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


OPTIONS: dict[str, dict[str, Any]] = {"overlong": {"most_tokens": 8, "window_tokens": 4}}
EVERY_REWARD = [*REWARDS.items(), *EPISODE_REWARDS.items()]


@pytest.mark.parametrize(("name", "target"), EVERY_REWARD)
def test_every_reward_travels_to_another_process(name: str, target: str) -> None:
    reward = load(target)(**OPTIONS.get(name, {}))
    again = pickle.loads(pickle.dumps(reward))
    of_step = {"completions": [REASONING + CALLED], "solution": ["tap(3)"], "completion_ids": [[1] * 6]}
    of_episode = {
        "completions": [[{"role": "assistant", "content": CALLED}]], "completion_ids": [[[1] * 6]],
        "success": [False], "sub_goals": [(True, False)], "ended": ["rounds"],
    }  # fmt: skip
    columns = of_step if target in REWARDS.values() else of_episode
    assert again == reward and again(**columns) == reward(**columns)
    assert reward.__name__ == name
    assert [type(worth) for worth in reward(**columns)] == [float]


def test_there_are_nine_rewards() -> None:
    assert len(EVERY_REWARD) == 9


@pytest.mark.parametrize(
    ("tokens", "worth"), [(1, 0.0), (16_384, 0.0), (18_432, -0.5), (20_480, -1.0), (20_481, -1.0), (99_999, -1.0)]
)
def test_a_long_answer_loses_what_dapo_takes(tokens: int, worth: float) -> None:
    assert OverlongReward(20_480, 4_096)(completion_ids=[[0] * tokens]) == [worth]


def test_the_soft_overlong_punishment_is_trls() -> None:
    rewards = pytest.importorskip("trl.rewards")
    theirs = rewards.get_soft_overlong_punishment(100, 30)
    answers = [[0] * tokens for tokens in range(1, 130)]
    assert OverlongReward(100, 30)(completion_ids=answers) == pytest.approx(theirs(completion_ids=answers))


@pytest.mark.parametrize(("most", "window"), [(8, 0), (8, 9), (0, 0)])
def test_a_window_that_is_no_window_is_refused(most: int, window: int) -> None:
    for made in (OverlongReward, EpisodeOverlongReward):
        with pytest.raises(ValueError, match=f"window_tokens is {window}; write a number from 1 to"):
            made(most, window)


GOLD_EPISODE: dict[str, Any] = {
    "completions": [[{"role": "assistant", "content": REASONING + ASSESSMENT + CALLED}] * 2],
    "completion_ids": [[[1, 2], [3]]], "success": [True], "sub_goals": [(True, True)],
}  # fmt: skip
JUNK_EPISODE: dict[str, Any] = {
    "completions": [[{"role": "assistant", "content": "}{ \x00"}] * 2],
    "completion_ids": [[[1] * 99] * 2], "success": [False], "sub_goals": [(False, False)],
}  # fmt: skip


@pytest.mark.parametrize("reward", [SuccessReward(), SubGoalReward(), ReadableReward(), EpisodeFormatReward()])
def test_a_gold_episode_scores_in_full_and_junk_nothing(reward: Any) -> None:
    assert reward(**GOLD_EPISODE) == [1.0]
    assert reward(**JUNK_EPISODE) == [0.0]


def test_an_episode_is_as_long_as_its_answers() -> None:
    reward = EpisodeOverlongReward(8, 4)
    assert reward(**GOLD_EPISODE) == [0.0] and reward(**JUNK_EPISODE) == [-1.0]
    assert reward(completion_ids=[[[1] * 6, [1] * 2]]) == [-0.25]


def test_an_episode_without_an_answer_is_worth_nothing() -> None:
    empty: dict[str, Any] = {"completions": [[]], "completion_ids": [[]], "success": [False], "sub_goals": [()]}
    for reward in (SuccessReward(), SubGoalReward(), ReadableReward(), EpisodeFormatReward()):
        assert reward(**empty) == [0.0]  # type: ignore[operator]


def test_the_outcome_alone_is_one_or_minus_one() -> None:
    assert OutcomeReward()(**GOLD_EPISODE) == [1.0] and OutcomeReward()(**JUNK_EPISODE) == [-1.0]


def test_readable_counts_what_the_worlds_own_reader_read() -> None:
    answers = [[{"role": "assistant", "content": "<code>print(1)</code>"}] * 2]
    assert ReadableReward()(completions=answers) == [0.0]
    assert ReadableReward()(completions=answers, readable=[[True, False]]) == [0.5]


def test_sub_goals_count_in_part_and_success_in_full() -> None:
    worth = SubGoalReward()(success=[False, False, True], sub_goals=[(True, False, False, True), (), (False, True)])
    assert worth == [0.5, 0.0, 1.0]


def test_words_are_compared_without_case_punctuation_and_spaces() -> None:
    assert same_words("  Öffne „WLAN“ ", "öffne wlan") == 1.0
    assert same_words("on", "off") == 0.0

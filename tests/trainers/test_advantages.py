"""Each rule of the denoised signal, held against numbers worked out by hand."""

from random import Random
from typing import Any

import pytest

from zoo.schema import DenoiseSpec
from zoo.trainers.advantages import Attempt, Turn, balanced, credited, group_relative, leave_one_out, spread


def attempts(*scores: float | None, **others: Any) -> list[Attempt]:
    return [
        Attempt(score, bool(score and score > 0.5), **{"ended": "finish" if score is not None else "error", **others})
        for score in scores
    ]


def values(group: list[Attempt], rules: DenoiseSpec | None = None, scale: Any = "group") -> list[float]:
    return [round(one, 4) for turns in credited(group, rules, Random(0), scale).advantages for one in turns]


def counts(group: list[Attempt], **rules: Any) -> dict[str, int]:
    return dict(credited(group, DenoiseSpec(**rules), Random(0)).counts)


def test_leave_one_out_compares_with_the_others_alone() -> None:
    assert leave_one_out([1.0, 0.0, 0.0, 0.0]) == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3])
    assert leave_one_out([1.0, 0.5], scale=2.0) == [1.0, -1.0]
    assert leave_one_out([1.0]) == [0.0] and leave_one_out([]) == []


def test_the_published_example_times_two() -> None:
    assert values(attempts(1.0, 0.0, 0.0, 0.0), DenoiseSpec()) == [2.0, -0.6667, -0.6667, -0.6667]


def test_without_rules_advantages_are_trls() -> None:
    # mean 0.25, deviation sqrt(3 * 0.25**2 + 0.75**2) / sqrt(3) = 0.5
    expected = [0.75 / 0.5001, *[-0.25 / 0.5001] * 3]
    assert group_relative([1.0, 0.0, 0.0, 0.0]) == pytest.approx(expected)
    assert values(attempts(1.0, 0.0, 0.0, 0.0)) == pytest.approx(expected, abs=1e-4)
    assert values(attempts(1.0, 0.0, 0.0, 0.0), scale="none") == [0.75, -0.25, -0.25, -0.25]


@pytest.mark.parametrize(
    ("scores", "flat"),
    [((1.0,) * 4, True), ((0.0,) * 4, True), ((0.5, 0.55), True), ((0.5, 0.61), False), ((1.0, 0.0), False)],
)
def test_a_group_without_spread_is_dropped(scores: tuple[float, ...], flat: bool) -> None:
    assert all(one == 0 for one in values(attempts(*scores), DenoiseSpec(signed=False))) is flat
    assert (counts(attempts(*scores)).get("flat", 0) == 1) is flat


def test_rounding_is_no_spread() -> None:
    assert values(attempts(0.1 + 0.2, 0.3, 0.3)) == [0.0, 0.0, 0.0]
    assert spread([0.3]) == spread([]) == 0.0


def test_a_broken_world_leaves_the_baseline_and_the_gradient() -> None:
    group = attempts(1.0, None, 0.0, 0.0)
    # The others' means are 0, 0.5 and 0.5: as if there had been three.
    assert values(group, DenoiseSpec()) == [2.0, 0.0, -1.0, -1.0]
    assert values(group)[1] == 0.0 and values(group)[0] == pytest.approx((2 / 3) / (3**-0.5 + 1e-4), abs=1e-3)
    assert counts(group) == {"errors": 1}
    assert values(attempts(None, None, 1.0), DenoiseSpec()) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("ended", ["length", "rounds", "time"])
def test_failures_by_a_limit_count_or_not(ended: str) -> None:
    group = [*attempts(1.0, 0.0), *attempts(0.0, ended=ended)]
    assert values(group, DenoiseSpec(limits="keep")) == [2.0, -1.0, -1.0]
    assert values(group, DenoiseSpec(limits="exclude")) == [2.0, -2.0, 0.0]
    assert counts(group, limits="exclude") == {"limits": 1}


def test_an_end_by_the_agent_or_the_world_is_no_limit_and_success_never_is() -> None:
    for ended in ("finish", "world", "repeat"):
        assert values([*attempts(1.0), *attempts(0.0, ended=ended)], DenoiseSpec(limits="exclude")) == [2.0, -2.0]
    assert values([*attempts(1.0, ended="rounds"), *attempts(0.0)], DenoiseSpec(limits="exclude")) == [2.0, -2.0]


def test_when_only_winners_are_left_nothing_is_learned() -> None:
    group = [*attempts(1.0, 1.0), *attempts(0.0, ended="rounds")]
    assert values(group, DenoiseSpec(limits="exclude")) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("turn", "why"), [(Turn(readable=False), "unreadable"), (Turn(said=2), "repeated")])
def test_a_bad_step_of_a_good_episode_is_not_praised(turn: Turn, why: str) -> None:
    good = Attempt(1.0, True, "finish", (Turn(), turn, Turn()))
    group = [good, *attempts(0.0)]
    assert values(group, DenoiseSpec())[:3] == [2.0, 0.0, 2.0]
    assert counts(group)[why] == 1
    assert values(group, DenoiseSpec(unreadable=False, repeats=None))[:3] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("turn", [Turn(readable=False), Turn(said=3)])
def test_a_bad_step_of_a_bad_episode_is_still_punished(turn: Turn) -> None:
    group = [*attempts(1.0), Attempt(0.0, False, "finish", (Turn(), turn))]
    assert values(group, DenoiseSpec()) == [2.0, -2.0, -2.0]


def test_a_step_said_twice_is_no_repeat_when_three_are_asked_for() -> None:
    group = [Attempt(1.0, True, "finish", (Turn(said=2), Turn(said=3))), *attempts(0.0)]
    assert values(group, DenoiseSpec(repeats=3)) == [2.0, 0.0, -2.0]


def test_the_correct_prefix_of_a_failed_episode_is_not_punished() -> None:
    failed = Attempt(0.0, False, "rounds", (Turn(), Turn(gained=True), Turn(), Turn(gained=True), Turn(), Turn()))
    group = [*attempts(1.0), failed]
    assert values(group, DenoiseSpec())[1:] == [0.0, 0.0, 0.0, 0.0, -2.0, -2.0]
    assert counts(group) == {"spared": 4}
    assert values(group, DenoiseSpec(spare_prefix=False))[1:] == [-2.0] * 6
    lost = Attempt(0.0, False, "rounds", (Turn(), Turn()))
    assert values([*attempts(1.0), lost], DenoiseSpec())[1:] == [-2.0, -2.0]


def test_failure_is_never_praised_and_success_never_blamed() -> None:
    # Scores beside success: sub-goals make a failure better than another. Others' means: 0.3, 0.55, 0.85.
    group = [Attempt(1.1, True, "finish"), Attempt(0.6, False, "finish"), Attempt(0.0, False, "finish")]
    assert values(group, DenoiseSpec()) == [1.6, 0.0, -1.7]
    assert values(group, DenoiseSpec(signed=False)) == [1.6, 0.1, -1.7]
    worse = [Attempt(0.6, True, "finish"), Attempt(1.0, True, "finish")]
    assert values(worse, DenoiseSpec()) == [0.0, 0.8]


def test_a_group_baseline_is_trls_with_the_rules_on_top() -> None:
    group = attempts(1.0, 0.0, None)
    assert values(group, DenoiseSpec(baseline="group"), "none") == [0.5, -0.5, 0.0]


@pytest.mark.parametrize(
    ("right", "wrong", "kept_right", "kept_wrong"),
    [(1, 7, 1, 2), (7, 1, 3, 1), (4, 4, 4, 4), (2, 6, 2, 3), (6, 2, 4, 2), (8, 0, 2, 0)],
)
def test_a_group_is_balanced_by_its_rarer_kind(right: int, wrong: int, kept_right: int, kept_wrong: int) -> None:
    won = [True] * right + [False] * wrong
    kept = balanced(won, Random(3))
    assert kept == sorted(set(kept))
    assert sum(won[place] for place in kept) == kept_right
    assert sum(not won[place] for place in kept) == kept_wrong


def test_what_balance_leaves_out_is_not_in_the_baseline() -> None:
    found = values(attempts(1.0, *[0.0] * 7), DenoiseSpec(balance=True))
    assert sorted(found) == [-1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]
    assert counts(attempts(1.0, *[0.0] * 7), balance=True) == {"unbalanced": 5}

"""An episode's steps as what rules of credit see: which reached something, which was said before, which teaches."""

from random import Random
from typing import Literal

import pytest
import torch
from toy_policy import spoken

from zoo import registry
from zoo.rewards import OutcomeReward, SubGoalReward
from zoo.schema import DenoiseSpec
from zoo.trainers.advantages import Attempt, credited
from zoo.trainers.episode_samples import handed_out
from zoo.trainers.groups import group_of_answers, group_of_episodes
from zoo.trainers.judged import judged
from zoo.trainers.rollouts import attempt, columns

RIGHT, WRONG = "<CALLED_FUNCTION>tap(3)</CALLED_FUNCTION>", "<CALLED_FUNCTION>tap(1)</CALLED_FUNCTION>"
NEITHER = "I would tap the third."


@pytest.fixture(autouse=True)
def long_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENVIRONMENTS, "phone", "toy_world:LongToy")


@pytest.mark.parametrize(
    ("script", "gained", "said", "readable"),
    [
        ((RIGHT, WRONG, RIGHT, WRONG), (True, False, True, False), (1, 1, 1, 1), (True,) * 4),
        ((WRONG, RIGHT, WRONG, RIGHT), (False, True, False, True), (1, 1, 1, 1), (True,) * 4),
        ((RIGHT, RIGHT, WRONG, WRONG), (True, True, False, False), (1, 2, 1, 2), (True,) * 4),
        ((NEITHER, NEITHER, NEITHER, RIGHT), (False, False, False, True), (1, 2, 3, 1), (False, False, False, True)),
    ],
)
def test_a_step_is_credited_with_what_it_reached_itself(
    script: tuple[str, ...], gained: tuple[bool, ...], said: tuple[int, ...], readable: tuple[bool, ...]
) -> None:
    [rollout] = spoken(script)
    made = attempt(rollout, 0.5)
    assert tuple(turn.gained for turn in made.turns) == gained
    assert tuple(turn.said for turn in made.turns) == said
    assert tuple(turn.readable for turn in made.turns) == readable
    assert (made.won, made.ended, made.score) == (False, "rounds", 0.5)


def test_how_much_was_reached_is_counted_before_each_step() -> None:
    [failed, solved] = spoken((RIGHT, WRONG, RIGHT, WRONG), (RIGHT, RIGHT, RIGHT, RIGHT))
    assert failed.reached == (0, 1, 1, 2) and failed.episode.sub_goals == (True, True, False, False)
    assert solved.reached == (0, 1, 2, 3) and attempt(solved, 1.0).won
    assert [turn.gained for turn in attempt(solved, 1.0).turns] == [True] * 4
    assert columns([failed, solved])["sub_goals"][0] == (True, True, False, False)


@pytest.mark.parametrize(
    ("rules", "failed", "solved"),
    [
        ({}, [4], [1]),  # spared up to the last that reached something; repetitions of a winner teach nothing
        ({"spare_prefix": False}, [1, 2, 3, 4], [1]),
        ({"repeats": None}, [4], [1, 2, 3, 4]),
    ],
)
def test_what_a_failed_episode_did_right_is_not_handed_to_the_loss(
    rules: dict[str, object], failed: list[int], solved: list[int]
) -> None:
    made = spoken((RIGHT, WRONG, RIGHT, WRONG), (RIGHT, RIGHT, RIGHT, RIGHT))
    seen = judged(made, [SubGoalReward()], [1.0])
    spec = DenoiseSpec.model_validate(rules)
    group = group_of_episodes(seen, lambda attempts: credited(attempts, spec, Random(0)))
    handed = handed_out(group.samples, sampled_elsewhere=False)
    expected = [[1, step] for step in failed] + [[2, step] for step in solved]
    assert handed["prompt_ids"] == expected
    assert handed["completion_ids"] == [[step, number] for number, step in expected]
    assert [sample.advantage for sample in group.samples] == [-1.0] * len(failed) + [1.0] * len(solved)


FAILED, SOLVED = (WRONG, RIGHT, WRONG, WRONG), (RIGHT, RIGHT, RIGHT, RIGHT)
FURTHER = (RIGHT, RIGHT, RIGHT, WRONG)


@pytest.mark.parametrize(
    ("scripts", "by", "teaches"),
    [
        ((FAILED, FURTHER), "score", True),
        ((FAILED, FURTHER), "success", False),
        ((FAILED, SOLVED), "success", True),
        ((SOLVED, SOLVED), "success", False),
    ],
)
def test_a_group_that_fails_throughout_teaches_by_its_score_and_not_by_success(
    scripts: tuple[tuple[str, ...], ...], by: Literal["score", "success"], teaches: bool
) -> None:
    seen = judged(spoken(*scripts), [SubGoalReward(), OutcomeReward()], [1.0, 1.0])
    group = group_of_episodes(seen, lambda attempts: credited(attempts, None, Random(0)), by)
    assert (group.teaches, bool(group.samples)) == (teaches, teaches)


@pytest.mark.parametrize(
    ("won", "scores", "by", "teaches"),
    [
        ((False, False), (-1.0, -1.5), "score", True),
        ((False, False), (-1.0, -1.5), "success", False),
        ((False, True), (-1.0, 1.0), "success", True),
        ((False, True), (-1.0, None), "success", False),
    ],
)
def test_answers_without_both_kinds_are_silenced(
    won: tuple[bool, ...], scores: tuple[float | None, ...], by: Literal["score", "success"], teaches: bool
) -> None:
    attempts = [Attempt(score, one, "finish") for one, score in zip(won, scores, strict=True)]
    group = group_of_answers({"advantages": torch.tensor([0.7, -0.7])}, attempts, None, by)
    assert group.teaches == teaches and group.batch is not None
    assert bool(group.batch["advantages"].abs().sum() > 0) == teaches

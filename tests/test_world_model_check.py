"""What is wrong with a world model, or with rows for one, is said before anything runs, with its line."""

from pathlib import Path

import pytest
from test_policy_check import RECIPE, problems

LORA = "    lora: {r: 4, target_modules: all-linear}\n"


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ("    world_model: {}\n", 9, "write lora: {...} in this stage, or adapters: shared"),
        (LORA + "    world_model: {lora: {rank: 4}}\n", 10, "world_model.lora.rank"),
        (LORA + "    world_model: {lora: {use_dora: true}}\n", 10, "which use_dora does not allow"),
        (LORA + "    world_model: {adapters: shared, learning_rate: 1e-4}\n", 10, "is one adapter"),
        (LORA + "    world_model: {learning_rate: 1e-4}\n    optimizer: muon\n", 10, "one group, with one rate"),
        (LORA + "    world_model: {adapters: both}\n", 10, "together"),
    ],
)
def test_a_world_model_that_cannot_be(tmp_path: Path, more: str, line: int, words: str) -> None:
    found = problems(tmp_path, more)
    assert len(found) == 1, found
    assert f":{line}: " in found[0] and words in found[0]


def test_logged_steps_have_no_next_observation(tmp_path: Path) -> None:
    recipe = RECIPE.replace("    environment: {tasks: 8}\n", "    data: stage:d\n")
    (found,) = problems(tmp_path, "    world_model: {adapters: shared}\n  d: {kind: data}\n", recipe)
    assert "write environment: {...} in place of data" in found


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("{kind: data, alternatives: 2}", "write predict: observation"),
        ("{kind: data, predict: observation, source: dataset, dataset: ./}", "predict"),
        ("{kind: data, predict: observation, agent: {pictures: marks}}", "pictures: marks"),
    ],
)
def test_rows_of_observations_come_from_the_expert_and_are_text(tmp_path: Path, rows: str, words: str) -> None:
    (found,) = problems(tmp_path, f"  d: {rows}\n")
    assert words in found


def test_what_rewards_calls_reads_no_rows_of_observations(tmp_path: Path) -> None:
    recipe = RECIPE.replace("    environment: {tasks: 8}\n", "    data: stage:d\n")
    (found,) = problems(tmp_path, "  d: {kind: data, predict: observation}\n", recipe)
    assert "completions of stage:d are observations" in found

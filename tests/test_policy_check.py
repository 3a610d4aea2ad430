"""What is wrong with a stage that reinforces is said before it runs, with its line."""

from pathlib import Path
from typing import Any

import pytest

from zoo.errors import RecipeError
from zoo.recipe import load

RECIPE = """name: small
summary: A test.
license: apache-2.0
stages:
  g:
    kind: grpo
    model: a/b
    environment: {tasks: 8}
"""


def problems(tmp_path: Path, more: str, recipe: str = RECIPE) -> list[str]:
    file = tmp_path / "small.yaml"
    file.write_text(recipe + more, "utf-8")
    with pytest.raises(RecipeError) as caught:
        load(file)
    return [str(problem) for problem in caught.value.problems]


def loaded(tmp_path: Path, more: str = "") -> Any:
    file = tmp_path / "small.yaml"
    file.write_text(RECIPE + more, "utf-8")
    return load(file).recipe.stages["g"]


def test_an_environment_stands_in_place_of_data(tmp_path: Path) -> None:
    stage = loaded(tmp_path)
    assert [(reward.name, reward.weight) for reward in stage.rewards] == [("success", 1.0), ("sub-goals", 0.5)]
    both = problems(tmp_path, "    data: ./\n")
    neither = problems(tmp_path, "", RECIPE.replace("    environment: {tasks: 8}\n", ""))
    for (found,) in (both, neither):
        assert "write data: stage:NAME or environment: {...}, not both" in found


def test_the_recipes_agent_acts_in_it(tmp_path: Path) -> None:
    stage = loaded(tmp_path, "    agent: {rounds: 7}\nagent: {style: terse}\n")
    assert (stage.agent.style, stage.agent.rounds) == ("terse", 7)


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ("    rewards: [{name: action}]\n", 9, "'action' is no reward of episodes"),
        ("    rewards: [{name: sucess}]\n", 9, "did you mean 'success'"),
        ("    rewards: [{name: success}, {name: success}]\n", 9, "stands there twice"),
        (
            "    rewards: [{name: overlong}]\n",
            9,
            "overlong: most_tokens: Field required; window_tokens: Field required",
        ),
        ("    rewards: [{name: overlong, options: {most_tokens: 4, window_tokens: 9}}]\n", 9, "window_tokens is 9"),
        ("    rewards: [{name: overlong, options: {most_tokens: 300, window_tokens: 9}}]\n", 9, "longer than 256"),
        ("    rewards: [{name: readable, options: {share: 1}}]\n", 9, "readable: share: Unexpected keyword argument"),
        ("    rewards: [{name: format, options: {of_answer: {reasoning: high}}}]\n", 9, "of_answer.reasoning: Input"),
        ("    rewards: []\n", 9, "g.rewards"),
        ("    trl: {loss_type: cispo}\n", 9, "write epsilon_high: 5.0"),
        ("    trl: {max_completion_length: 64}\n", 9, "write agent: {answer_tokens: 64}"),
        ("    trl: {scale_rewards: batch}\n", 9, "compared within their group"),
        ("    trl: {multi_objective_aggregation: normalize_then_sum}\n", 9, "scored by one sum"),
        (
            "    agent: {constrained: true}\n    trl: {use_transformers_continuous_batching: true}\n",
            9,
            "keeps answers to no grammar of ours",
        ),
        ("    agent: {pictures: plain}\n", 9, "write agent: {pictures: none} in this stage"),
        ("agent: {pictures: marks}\n", 5, "pictures: marks, and what is learned from in the world is text alone"),
        ("    denoise: {}\n    trl: {scale_rewards: none}\n", 10, "scale_rewards says nothing"),
        ("    trl: {use_vllm: true}\nhardware: {device: cpu, memory_gib: 8}\n", 9, "vLLM needs a GPU"),
        ("    trl: {per_device_train_batch_size: 32, num_generations: 2}\n", 8, "there are 8 tasks"),
    ],
)
def test_what_does_not_go_together_is_told_with_its_line(tmp_path: Path, more: str, line: int, words: str) -> None:
    (found,) = problems(tmp_path, more)
    assert f"small.yaml:{line}" in found and words in found


def test_a_reward_of_episodes_is_none_of_logged_steps(tmp_path: Path) -> None:
    recipe = RECIPE.replace("environment: {tasks: 8}", "data: ./")
    (found,) = problems(tmp_path, "    rewards: [{name: success}]\n", recipe)
    assert "'success' is no reward of logged steps" in found


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("    rewards: [{name: action, options: {similarity: foo}}]\n", "action: similarity: Input should be callable"),
        ("    rewards: [{name: format, options: {reasoning: high}}]\n", "reasoning: Input should be a valid number"),
        ("    denoise: {baseline: group}\n    trl: {scale_rewards: batch}\n", "denoise compares answers within their"),
        (
            "    rewards: [{name: overlong, options: {most_tokens: 600, window_tokens: 88}}]\n",
            "overlong begins beyond 512 tokens, and no answer is longer than 512",
        ),
    ],
)
def test_what_logged_steps_cannot_be_rewarded_by_is_told(tmp_path: Path, more: str, words: str) -> None:
    (found,) = problems(tmp_path, more, RECIPE.replace("environment: {tasks: 8}", "data: ./"))
    assert words in found


def test_a_punishment_that_begins_within_an_answer_and_a_cap_of_ones_own_are_right(tmp_path: Path) -> None:
    loaded(
        tmp_path,
        "    rewards: [{name: overlong, options: {most_tokens: 264, window_tokens: 9}}]\n"
        "    trl: {loss_type: cispo, epsilon_high: 5.0}\n",
    )

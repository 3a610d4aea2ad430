"""What is wrong with a policy's endpoint is said before anything runs, with its line."""

from pathlib import Path

import pytest
from test_policy_check import RECIPE, problems

from zoo import preflight
from zoo.errors import EnvironmentFailure
from zoo.plan import plan
from zoo.recipe import load

LORA = "    lora: {r: 4, target_modules: all-linear}\n"
ENDPOINT = "    endpoint: {url: 'http://127.0.0.1:8000/v1', model: base, folder: adapters, key_variable: SOME_KEY}\n"


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        (ENDPOINT, 9, "what is handed over to an endpoint is an adapter"),
        (ENDPOINT + LORA + "    world_model: {}\n", 9, "leave endpoint or world_model out"),
        (ENDPOINT + LORA + "    agent: {constrained: true}\n", 11, "not kept to the grammar of each screen"),
        (ENDPOINT + LORA + "    trl: {top_p: 0.9}\n", 11, "is not told trl.top_p"),
        (ENDPOINT + LORA + "    trl: {use_transformers_continuous_batching: true}\n", 11, "keep one"),
        (ENDPOINT.replace("http:", "ftp:") + LORA, 9, "is no address of an endpoint"),
        (ENDPOINT.replace("folder: adapters, ", "") + LORA, 9, "folder"),
    ],
)
def test_an_endpoint_that_cannot_be(tmp_path: Path, more: str, line: int, words: str) -> None:
    found = problems(tmp_path, more)
    assert len(found) == 1, found
    assert f":{line}: " in found[0] and words in found[0]


def test_logged_steps_are_not_answered_elsewhere(tmp_path: Path) -> None:
    recipe = RECIPE.replace("    environment: {tasks: 8}\n", "    data: stage:d\n")
    (found,) = problems(tmp_path, ENDPOINT + LORA + "  d: {kind: data}\n", recipe)
    assert "write environment: {...} in place of data" in found


def test_a_key_that_is_not_there_is_missed_before_the_run(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(RECIPE + ENDPOINT + LORA, "utf-8")
    stages = plan(load(file).recipe, lambda ref, accepts: None)
    with pytest.raises(EnvironmentFailure, match=r"stage g: .*SOME_KEY holds no key"):
        preflight.check_sources(stages, {})
    preflight.check_sources(stages, {"SOME_KEY": "k"})

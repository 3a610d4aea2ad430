"""Every shipped recipe by its tiny twin, from YAML to published repositories and back. No evidence of quality."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zoo import registry, shipped
from zoo.cache import Cache
from zoo.recipe import load
from zoo.schema import PublishSpec

RECIPES = sorted(file.stem for file in shipped.folder("recipes").glob("*.yaml"))


def recipes(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as a user runs it."""
    code = "from zoo.cli import main; main()"
    environment = {**os.environ, "EDGEZOO_HOME": str(home), "HF_HOME": str(home / "huggingface")}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=home)


def commits(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(repo["repo"], repo["commit"]) for repo in result["published"]]


@pytest.fixture(scope="module", params=RECIPES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, dict[str, Any]]:
    """A recipe, the folder where it ran, and what the run printed for machines."""
    loaded = load(shipped.folder("recipes") / f"{request.param}.yaml", tiny=True)
    _, module = registry.WORLD_NEEDS.get(loaded.recipe.agent.world, ("", ""))
    if module:
        pytest.importorskip(module, reason=f"{module} is not installed")
    home = tmp_path_factory.mktemp(request.param)
    run = recipes(home, "run", request.param, "--tiny", "--json")
    assert run.returncode == 0, run.stderr[-4000:]
    return request.param, home, json.loads(run.stdout)


def test_every_recipe_is_known_here() -> None:
    assert {"openphone-3b", "pocket-135m"} <= set(RECIPES)


def test_every_stage_is_finished_recorded_and_marked_tiny(made: tuple[str, Path, dict[str, Any]]) -> None:
    name, home, result = made
    loaded = load(shipped.folder("recipes") / f"{name}.yaml", tiny=True)
    assert set(result["stages"]) == set(loaded.recipe.stages)
    for stage in result["stages"].values():
        found = Cache(home).find(stage["key"])
        assert found is not None and found.record.tiny
        assert found.record.files or found.record.metrics  # what latency makes is in its record alone
        Cache(home).check_digests(found)


def test_the_same_command_again_finds_everything_cached_and_published(
    made: tuple[str, Path, dict[str, Any]],
) -> None:
    name, home, result = made
    again = recipes(home, "run", name, "--tiny", "--json")
    assert commits(json.loads(again.stdout)) == commits(result)  # the address differs: a free port each time
    assert "starts" not in again.stderr and again.stderr.count("cached") >= len(result["stages"])


def test_what_was_published_comes_back_whole_with_a_card_that_says_tiny(
    made: tuple[str, Path, dict[str, Any]],
) -> None:
    name, home, result = made
    loaded = load(shipped.folder("recipes") / f"{name}.yaml", tiny=True)
    (spec,) = (spec for spec in loaded.recipe.stages.values() if isinstance(spec, PublishSpec))
    onnx, space = [f"{spec.repo}-ONNX"] if spec.onnx else [], [spec.repo] if spec.space else []
    assert [repo["repo"] for repo in result["published"]] == [spec.repo, f"{spec.repo}-GGUF", *onnx, *space]
    pulled = recipes(home, "pull", spec.repo, "--offline", "--to", str(home / "pulled"))
    assert pulled.returncode == 0, pulled.stderr
    folder = home / "pulled" / spec.repo.split("/")[1]
    present = {file.name for file in folder.iterdir()}
    assert {"model.safetensors", "README.md", "recipe.yaml", "recipe.lock.yaml", "records"} <= present
    assert "no evidence of quality" in (folder / "README.md").read_text("utf-8")
    assert str(home) not in "".join(file.read_text("utf-8") for file in folder.rglob("*.json"))


def test_the_fetched_file_acts_in_its_world(made: tuple[str, Path, dict[str, Any]]) -> None:
    name, home, result = made
    repo = result["published"][1]["repo"]
    # llama.cpp does not look at pictures here: a file of an agent with eyes acts as the default agent, on words.
    eyes = load(shipped.folder("recipes") / f"{name}.yaml", tiny=True).recipe.agent.pictures != "none"
    agent = [] if eyes else ["--recipe", name]
    acted = recipes(home, "act", *agent, "--model", repo, "--file", "q8_0", "--offline", "--json")
    assert acted.returncode == 0, acted.stderr
    episode = json.loads(acted.stdout)
    assert episode["steps"] and not episode["success"]  # two layers of random weights solve nothing

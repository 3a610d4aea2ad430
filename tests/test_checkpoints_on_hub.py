"""A run that is kept on a Hub, killed, and finished on another machine: a folder with nothing in it but the Hub."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zoo import checkpoints_on_hub, hub
from zoo.cache import Cache
from zoo.checkpoints_on_hub import Place
from zoo.errors import HubError
from zoo.hub import Endpoint
from zoo.local_hub import client_environment, running
from zoo.plan import plan
from zoo.recipe import LoadedRecipe, load
from zoo.refs import HubRef

RECIPE = """\
name: small
summary: A recipe for tests.
license: apache-2.0
agent: {style: terse}
stages:
  base: {kind: tiny, architecture: llama}
  rows: {kind: data, tasks: 4}
  sft:
    kind: sft
    model: stage:base
    data: stage:rows
    dtype: float32
    checkpoint_steps: 1
    lora: {r: 4, target_modules: all-linear}
    trl: {max_steps: 400, per_device_train_batch_size: 1}
"""
SHORT = RECIPE.replace("max_steps: 400", "max_steps: 3")
COMMAND = "from zoo.cli import main; main()"
# Long, since several cores of others may be busy: a limit and no measure.
PATIENCE_SECONDS = 400


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    with running(tmp_path / "hub") as served:
        yield served


def environment(endpoint: Endpoint, home: Path) -> dict[str, str]:
    """A machine of its own: its own cache and home, and the Hub that both know."""
    return {
        **os.environ,
        **client_environment(endpoint),
        "EDGEZOO_HOME": str(home),
        "HF_HOME": str(home / "huggingface"),
        "OMP_NUM_THREADS": "1",
    }


def recipes(endpoint: Endpoint, home: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        env=environment(endpoint, home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def done(process: "subprocess.Popen[str]") -> str:
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    return said


def written(folder: Path, text: str) -> Path:
    file = folder / "small.yaml"
    file.write_text(text, "utf-8")
    return file


def kept(endpoint: Endpoint, branch: str = "main") -> dict[str, int]:
    try:
        return hub.files(hub.pin(HubRef("edgezoo/run", branch), "dataset", [endpoint]))
    except HubError:
        return {}


def wait_for(process: "subprocess.Popen[str]", what: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)


def keys(recipe: LoadedRecipe) -> dict[str, str]:
    return {stage.name: str(stage.key) for stage in plan(recipe.recipe, lambda ref, accepts: None)}


def test_another_machine_goes_on_from_the_last_checkpoint_of_a_run_that_was_killed(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    file = written(tmp_path, RECIPE)
    first = recipes(endpoint, tmp_path / "first", "run", str(file), "--checkpoints-to", "edgezoo/run")
    wait_for(first, lambda: any(name.startswith("running/") for name in kept(endpoint)))
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    there = kept(endpoint)
    found = keys(load(file))
    assert f"stages/{found['base']}/stage.json" in there
    assert f"running/{found['sft']}/checkpoint/whole.json" in there
    assert f"stages/{found['sft']}/stage.json" not in there

    # Without training on: what the second machine would start from is what the first one sent.
    place = Place(endpoint, "edgezoo/run")
    call = checkpoints_on_hub.call_of(place, tmp_path / "second" / "resumed")
    loaded = load(call.recipe, call.overrides, tiny=call.tiny)
    cache = Cache(tmp_path / "second")
    said: list[str] = []
    checkpoints_on_hub.restore(place, cache, plan(loaded.recipe, lambda ref, accepts: None), said.append)
    assert keys(loaded) == found
    assert [line.partition(",")[0] for line in said][:2] == ["base: finished", "rows: finished"]
    assert said[2].startswith("sft: goes on from checkpoint-")
    checkpoints = list((tmp_path / "second" / "scratch" / found["sft"] / "checkpoints").iterdir())
    sizes = json.loads((checkpoints[0] / "whole.json").read_text())
    assert {name: (checkpoints[0] / name).stat().st_size for name in sizes} == sizes
    cache.check_digests(cache.find(found["base"]))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_run_that_died_within_its_training_ends_elsewhere_with_the_same_weights(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    """On a branch: killed between two checkpoints, gone on with by a machine that has nothing but the Hub."""
    file = written(tmp_path, RECIPE.replace("max_steps: 400", "max_steps: 40"))
    sft = keys(load(file))["sft"]
    straight = tmp_path / "straight"
    done(recipes(endpoint, straight, "run", str(file)))
    place = "edgezoo/run@attempt-2"
    first = recipes(endpoint, tmp_path / "first", "run", str(file), "--checkpoints-to", place)
    wait_for(first, lambda: any(name.startswith(f"running/{sft}/") for name in kept(endpoint, "attempt-2")))
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert not any(name.startswith("running/") for name in kept(endpoint)), "it went to main"
    assert f"stages/{sft}/stage.json" not in kept(endpoint, "attempt-2"), "it was finished before it could be killed"
    said = done(recipes(endpoint, tmp_path / "second", "resume", place))
    assert f"base: finished, fetched from {place}" in said
    assert "sft: goes on from checkpoint-" in said
    one, other = Cache(straight).find(sft), Cache(tmp_path / "second").find(sft)
    assert one is not None
    assert other is not None
    assert one.record.files == other.record.files
    assert f"stages/{sft}/stage.json" in kept(endpoint, "attempt-2")


def test_a_stage_that_was_altered_on_the_hub_is_refused_and_leaves_nothing(endpoint: Endpoint, tmp_path: Path) -> None:
    file = written(tmp_path, SHORT)
    done(recipes(endpoint, tmp_path / "first", "run", str(file), "--checkpoints-to", "edgezoo/run", "--until", "rows"))
    loaded = load(file)
    key = keys(loaded)["rows"]
    altered = tmp_path / "altered" / "stages" / key
    altered.mkdir(parents=True)
    (altered / "rows.jsonl").write_text("{}\n")
    hub.upload(endpoint, "edgezoo/run", "dataset", tmp_path / "altered", "altered", private=True)
    cache = Cache(tmp_path / "second")
    stages = [stage for stage in plan(loaded.recipe, lambda ref, accepts: None) if stage.name == "rows"]
    with pytest.raises(HubError, match="is not what its record says"):
        checkpoints_on_hub.restore(Place(endpoint, "edgezoo/run"), cache, stages, print)
    assert cache.find(key) is None
    assert not list((tmp_path / "second" / "fetched").iterdir())


def test_a_repository_of_something_else_and_of_another_run_is_left_alone(endpoint: Endpoint, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "important.txt").write_text("years of work")
    hub.upload(endpoint, "edgezoo/run", "dataset", mine, "by hand", private=True)
    loaded = load(written(tmp_path, SHORT))
    with pytest.raises(HubError, match=r"holds important\.txt, and no run"):
        checkpoints_on_hub.check(Place(endpoint, "edgezoo/run"), loaded)
    other = tmp_path / "other" / "run"
    other.mkdir(parents=True)
    (other / "run.json").write_text(json.dumps({"name": "large", "overrides": [], "tiny": False}))
    hub.upload(endpoint, "edgezoo/other", "dataset", other.parent, "another run", private=True)
    with pytest.raises(HubError, match="a run of large is kept there, this is small"):
        checkpoints_on_hub.check(Place(endpoint, "edgezoo/other"), loaded)


def test_a_token_without_rights_is_refused_before_anything_runs(endpoint: Endpoint, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="needs a token"):
        checkpoints_on_hub.check(Place(Endpoint(endpoint.url), "edgezoo/run"), load(written(tmp_path, SHORT)))


def test_a_repository_without_a_run_says_how_one_gets_there(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("# Nothing yet")
    hub.upload(endpoint, "edgezoo/run", "dataset", tmp_path / "mine", "a card", private=True)
    with pytest.raises(HubError, match="--checkpoints-to edgezoo/run"):
        checkpoints_on_hub.call_of(Place(endpoint, "edgezoo/run"), tmp_path / "call")

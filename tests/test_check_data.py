"""What cannot work in a data stage is said before anything runs, at its line."""

from pathlib import Path

import pytest
from test_recipe import written

from zoo import preflight
from zoo.check.data import key_variables
from zoo.errors import EnvironmentFailure, RecipeError
from zoo.fingerprint import of_data
from zoo.plan import plan
from zoo.recipe import load
from zoo.schema import DataSpec, EndpointSpec
from zoo.schema.settings import IDENTITY

HEAD = """name: small
summary: A test.
license: apache-2.0
stages:
  demos: {kind: data, tasks: 4}
  rows:
    kind: data
"""
ENDPOINT = "    endpoint: {url: 'http://127.0.0.1:1/v1', model: m, key_variable: SOME_KEY}\n"


def problems(folder: Path, lines: str) -> str:
    with pytest.raises(RecipeError) as refused:
        load(written(folder, HEAD + lines))
    return str(refused.value)


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        ("    source: agent\n", 8, "names nobody who acts"),
        ("    source: agent\n    model: a/b\n" + ENDPOINT, 10, "both model and endpoint are named"),
        ("    detours: 0.1\n    agent: {world: miniwob}\n", 8, "miniwob cannot be copied"),
        ("    source: agent\n    model: a/b\n    tries: 4\n", 10, "4 tries at temperature 0 are the same try"),
        (
            "    source: agent\n    agent: {pictures: plain}\n    export: stage:files\n",
            10,
            "exported files answer about words only",
        ),
        ("    source: dataset\n", 8, "names no dataset"),
        ("    dataset: a/b\n", 8, "dataset is read with source: dataset, and the source is expert"),
        ("    source: dataset\n    dataset: a/b\n    mix: {stage:demos: 1}\n", 10, "mix is read with source: mix"),
        ("    source: mix\n", 8, "names nothing to mix"),
        ("    source: mix\n    mix: {stage:demos: 0, a/b: 0}\n", 9, "add up to 0"),
        ("    source: mix\n    mix: {stage:demo: 1}\n", 9, "did you mean 'demos'?"),
        ("    source: dataset\n    dataset: a/b\n    turns: last\n", 10, "turns is read with format: chat"),
        ("    source: dataset\n    dataset: a/b\n    package: x==1\n", 10, "reads no package"),
        ("    source: agent\n    endpoint: {url: 'localhost', model: m}\n", 9, "http://host:port/v1"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_line(tmp_path: Path, lines: str, line: int, said: str) -> None:
    found = problems(tmp_path, lines)
    assert said in found and f"small.yaml:{line}" in found


def test_a_mixture_of_stages_and_repositories_is_planned_and_pinned(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, HEAD + "    source: mix\n    mix: {stage:demos: 0.7, owner/b: 0.3}\n"))
    stages = plan(loaded.recipe, lambda ref, accepts: f"{ref.repo}@0123")  # type: ignore[union-attr]
    assert {place: item.identity for place, item in stages[1].inputs.items()} == {
        "mix.0.rows": f"stage:{stages[0].key}",
        "mix.1.rows": "owner/b@0123",
    }
    assert stages[1].settings["mix"][1] == {"rows": None, "weight": 0.3, "format": "chat"}


def test_a_missing_key_is_known_before_anything_runs_and_a_cached_stage_needs_none(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, HEAD + "    source: agent\n" + ENDPOINT))
    stages = plan(loaded.recipe, lambda ref, accepts: "a/b@0123")
    with pytest.raises(EnvironmentFailure, match=r"stage rows: .* SOME_KEY holds no key; run: export SOME_KEY"):
        preflight.check_sources(stages, {})
    preflight.check_sources(stages, {"SOME_KEY": "sk-1"})
    preflight.check_sources(stages[:1], {})


def test_a_package_that_is_not_here_is_known_before_anything_runs(tmp_path: Path) -> None:
    text = "    source: dataset\n    format: text\n    package: no-such-package==1\n"
    loaded = load(written(tmp_path, HEAD + text))
    with pytest.raises(EnvironmentFailure, match="pip install no-such-package==1"):
        preflight.check_sources(plan(loaded.recipe, lambda ref, accepts: None), {})


def test_how_fast_and_at_what_price_is_no_part_of_a_key_and_the_model_is() -> None:
    def identity(**changes: object) -> str:
        endpoint = EndpointSpec.model_validate({"url": "http://127.0.0.1:1/v1", "model": "m", **changes})
        return of_data(DataSpec(source="agent", endpoint=endpoint).model_dump(mode="json", context=IDENTITY))

    assert identity() == identity(parallel=9, requests_per_minute=3, prompt_price=1, key_variable="OTHER")
    assert len({identity(), identity(model="n"), identity(url="http://127.0.0.1:2/v1")}) == 3


def test_settings_that_say_nothing_new_leave_a_key_as_it_was() -> None:
    plain = DataSpec().model_dump(mode="json")
    assert set(plain) == {"kind", "seed", "source", "dataset", "split", "tasks", "detours", "limit", "agent"}
    whole = DataSpec.model_validate({"source": "mix", "mix": {"stage:a": 1}, "filters": {"distinct": True}})
    assert DataSpec.model_validate(whole.model_dump(mode="json")) == whole


def test_every_endpoint_of_a_stage_is_asked_for_its_key() -> None:
    here = {"url": "http://127.0.0.1:1/v1", "model": "m"}
    reason = {"teacher": {**here, "key_variable": "ONE"}, "writer": {**here, "key_variable": "TWO"}}
    assert key_variables(DataSpec.model_validate({"reason": reason})) == ["ONE", "TWO"]

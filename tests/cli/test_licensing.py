"""The licence of a publication, from a recipe's text and the cards of what it reads, before anything runs."""

from pathlib import Path

import pytest

from zoo.cli import licensing
from zoo.errors import Problem, RecipeError
from zoo.licences import Licence
from zoo.plan import plan
from zoo.recipe import load
from zoo.refs import HubRef

RECIPE = """\
name: small
summary: A recipe for tests.
license: apache-2.0
stages:
  steps: {kind: data, source: dataset, dataset: maker/rows@main}
  sft: {kind: sft, model: maker/base@main, data: stage:steps, lora: {r: 4}, trl: {max_steps: 1}}
  merged:
    kind: merge
    mergekit:
      merge_method: linear
      base_model: maker/base@main
      dtype: float32
      models:
        - {model: stage:sft, parameters: {weight: 0.5}}
        - {model: maker/parent@main, parameters: {weight: 0.5}}
  eval-other: {kind: evaluate, model: maker/other@main, tasks: 2}
  publish: {kind: publish, repo: me/small, model: stage:merged, scores: {other: stage:eval-other}}
"""


def licences(folder: Path, text: str = RECIPE, **cards: str) -> tuple[dict[str, Licence], list[Problem]]:
    """What is said of the recipe where these repositories have these licences, and all others are apache-2.0."""
    file = folder / "small.yaml"
    file.write_text(text)
    loaded = load(file)
    stages = plan(loaded.recipe, lambda ref, accepts: f"{ref.repo}@0123" if isinstance(ref, HubRef) else None)

    def card_of(ref: HubRef, kind: str) -> str | None:
        licence = cards.get(ref.repo.partition("/")[2], "apache-2.0")
        return f"---\nlicense: {licence}\n---\n" if licence else None

    return licensing.licences(loaded, stages, card_of, [stage.name for stage in stages])


def test_base_merge_parent_and_dataset_are_each_asked_and_what_was_only_compared_is_not(tmp_path: Path) -> None:
    found, problems = licences(tmp_path, other="gemma")
    assert not problems
    assert {(source.name, source.role) for source in found["publish"].sources} == {
        ("maker/rows@0123", "dataset"),
        ("maker/base@0123", "base"),
        ("maker/parent@0123", "merge parent"),
    }
    assert found["publish"].spdx == "Apache-2.0"


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        ({"rows": ""}, r"maker/rows@0123 \(dataset\) names no licence"),
        ({"parent": "gemma"}, "asks for LicenseRef-gemma"),
        ({"parent": "gemma", "base": "llama3.1"}, "cannot both hold"),
        ({"rows": "cc-by-nc-4.0"}, "asks for CC-BY-NC-4.0"),
    ],
)
def test_what_may_not_be_published_so_is_refused_at_the_line_of_the_licence(
    tmp_path: Path, cards: dict[str, str], said: str
) -> None:
    found, [problem] = licences(tmp_path, **cards)
    assert not found
    assert problem.where.endswith("small.yaml:3")
    assert "license_reason" in problem.instead
    with pytest.raises(RecipeError, match=said):
        raise RecipeError([problem])


def test_a_reason_in_the_recipe_stands_and_goes_into_the_lock(tmp_path: Path) -> None:
    text = RECIPE.replace("license: apache-2.0", "license: mit\nlicense_reason: its maker gave leave in writing")
    found, problems = licences(tmp_path, text, rows="")
    assert not problems
    told = licensing.as_data(found)["publish"]
    assert (told["license"], told["reason"]) == ("mit", "its maker gave leave in writing")
    assert {"source": "maker/rows@0123", "role": "dataset", "licences": []} in told["sources"]


def test_rows_that_are_published_bring_their_own_sources(tmp_path: Path) -> None:
    text = RECIPE.replace("model: stage:merged,", "model: maker/base@main, datasets: [stage:steps],")
    found, _ = licences(tmp_path, text)
    assert {source.role for source in found["publish"].sources} == {"base", "dataset"}


@pytest.mark.parametrize(
    ("adapter", "said"),
    [("true", "stage:merged trains no adapter"), ("stage:steps", "needs model"), ("maker/base@main", "no adapter")],
)
def test_an_adapter_that_nobody_could_use_is_known_before_training(tmp_path: Path, adapter: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        licences(tmp_path, RECIPE.replace("model: stage:merged,", f"model: stage:merged, adapter: {adapter},"))
    licences(tmp_path, RECIPE.replace("model: stage:merged,", "model: stage:merged, adapter: stage:sft,"))

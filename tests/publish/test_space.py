"""The Space of a publication: asked for by a recipe, laid out with the app, pushed beside the model of its name."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi, SpaceCard
from publications import SPEC, names, push

from zoo import publish
from zoo.cards import checking, space_card
from zoo.local_hub import running
from zoo.recipe import load
from zoo.records import StageContext
from zoo.schema import PublishSpec

APP = """---
title: Agent
emoji: 📱
sdk: gradio
sdk_version: 6.31.0
app_file: app.py
---
# The app's own words
"""
RECIPE = """\
name: small
summary: A recipe for tests.
license: apache-2.0
stages:
  base: {kind: tiny, architecture: llama}
  publish: {kind: publish, repo: me/small, model: "stage:base", space: true}
"""


def test_its_card_is_built_as_the_app_says_and_named_as_the_publication() -> None:
    import example_records as example

    text = space_card(example.data(), "pocket-135m", APP)
    head = SpaceCard(text).data
    assert checking.problems(text, "space") == []
    assert (head.sdk, head.sdk_version, head.app_file) == ("gradio", "6.31.0", "app.py")
    assert (head.title, head.models) == ("pocket-135m", ["zoo/pocket-135m", "zoo/pocket-135m-GGUF"])
    assert "34.0 % success" in text
    assert "own words" not in text


def test_a_space_shares_its_models_name_and_is_pushed_listed_and_tied_with_it(
    publication: Path, tmp_path: Path
) -> None:
    folder = publication / "space"
    (folder / "records").mkdir(parents=True)
    (folder / "README.md").write_text(APP + "\nWatch it.\n")
    (folder / "app.py").write_text("print('a page')\n")
    (folder / "records" / "grpo.json").write_text("{}")
    with running(tmp_path / "hub") as endpoint:
        published = publish.push(
            publication, "zoo/pocket-135m", endpoint, private=True, message="version 1", collection="Pocket"
        )
        space = published[-1]
        assert (space.repo, space.kind) == ("zoo/pocket-135m", "space")
        assert space.url == f"{endpoint.url}/spaces/zoo/pocket-135m"
        api = HfApi(endpoint.url, token=endpoint.token)
        assert [found.id for found in api.list_spaces(author="zoo")] == ["zoo/pocket-135m"]
        info = api.space_info("zoo/pocket-135m")
        assert (info.sdk, info.private) == ("gradio", True)
        assert {"app.py", "README.md"} <= {item.rfilename for item in info.siblings or []}
        assert "app.py" not in {item.rfilename for item in api.model_info("zoo/pocket-135m").siblings or []}
        [collection] = list(api.list_collections(owner="zoo"))
        kinds = [item.item_type for item in api.get_collection(collection.slug).items]
        assert kinds == ["model", "model", "space"]


def test_its_repositories_are_named_before_anything_runs() -> None:
    spec = PublishSpec.model_validate({"repo": "me/small", "model": "stage:sft", "space": True})
    assert publish.repositories(spec) == {"model": "me/small", "space": "spaces/me/small"}


def test_a_space_without_an_evaluation_is_refused_at_its_line(tmp_path: Path) -> None:
    from zoo.errors import RecipeError

    file = tmp_path / "small.yaml"
    file.write_text(RECIPE)
    with pytest.raises(RecipeError, match=r"small\.yaml:6: publish\.space: the page asks the model as an evaluation"):
        load(file)


def test_the_app_goes_with_its_settings_records_and_card(context: StageContext) -> None:
    spec = SPEC.model_copy(update={"space": True})
    publish.run(spec, context)
    found = names(context.out / "space")
    assert {"app.py", "README.md", "space.json", "recipe.yaml", "requirements.txt", "records/verify.json"} <= found
    told = json.loads((context.out / "space" / "space.json").read_text())
    assert told["repository"] == "zoo/pocket-135m"
    assert [(model.get("file"), model.get("recommended", False)) for model in told["models"]] == [
        ("Pocket-135M-F16.gguf", False),
        ("Pocket-135M-Q8_0.gguf", True),
        (None, False),  # the checkpoint, whole
    ]
    assert [model.get("runtime", "gguf") for model in told["models"]] == ["gguf", "gguf", "torch"]
    assert told["agent"]["rounds"] == 12
    assert checking.problems((context.out / "space" / "README.md").read_text(), "space") == []
    assert "spaces/zoo/pocket-135m" in (context.out / "model" / "README.md").read_text()


def test_a_publication_with_its_space_is_pushed_whole(context: StageContext, tmp_path: Path) -> None:
    publish.run(SPEC.model_copy(update={"space": True}), replace(context))
    with running(tmp_path / "hub") as endpoint:
        done = push(context.out, endpoint)[-1]
        assert done.kind == "space"
        files = HfApi(endpoint.url, token=endpoint.token).list_repo_files("zoo/pocket-135m", repo_type="space")
        assert names(context.out / "space") <= set(files)

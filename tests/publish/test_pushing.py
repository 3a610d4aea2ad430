"""A publication brought to the embedded Hub."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from publications import SPEC, names, push

from zoo import hub, publish
from zoo.errors import HubError
from zoo.local_hub import client_environment, running
from zoo.records import StageContext
from zoo.refs import HubRef, StageRef


def test_a_push_brings_both_repositories_whole_in_one_commit_each(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        published = push(publication, endpoint)
        assert [(done.repo, done.url) for done in published] == [
            ("zoo/pocket-135m", f"{endpoint.url}/zoo/pocket-135m"),
            ("zoo/pocket-135m-GGUF", f"{endpoint.url}/zoo/pocket-135m-GGUF"),
        ]
        for done, folder in zip(published, ("model", "GGUF"), strict=True):
            pinned = hub.pin(HubRef(done.repo), "model", [endpoint])
            assert pinned.commit == done.commit
            fetched = hub.fetch(pinned, tmp_path / "fetched" / folder)
            for name in names(publication / folder):
                assert (fetched / name).read_bytes() == (publication / folder / name).read_bytes()
            commits = HfApi(endpoint.url, token=endpoint.token).list_repo_commits(done.repo)
            assert [commit.title for commit in commits].count("pocket-135m version 1") == 1


def test_a_second_push_of_the_same_makes_no_commit(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        assert push(publication, endpoint) == push(publication, endpoint)


def test_a_later_publication_leaves_no_stale_weights_behind(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        push(publication, endpoint)
        weights = publication / "model" / "model.safetensors"
        weights.rename(weights.with_name("model-00001-of-00001.safetensors"))
        push(publication, endpoint)
        there = hub.files(hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint]))
        assert "model.safetensors" not in there
        assert "model-00001-of-00001.safetensors" in there


def test_a_repository_that_no_recipe_made_is_left_as_it_is(publication: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "important.txt").write_text("years of work")
    with running(tmp_path / "hub") as endpoint:
        hub.upload(endpoint, "zoo/pocket-135m-GGUF", "model", mine, "by hand", private=False)
        with pytest.raises(HubError, match=r"zoo/pocket-135m-GGUF: holds important.txt and no records/"):
            push(publication, endpoint)
        with pytest.raises(HubError, match="not found"):
            hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint])


def test_a_hub_that_is_down_is_one_clear_error(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        pass
    with pytest.raises(HubError, match="does not answer"):
        push(publication, endpoint)


def test_the_lines_on_the_card_run_against_the_hub_that_it_is_on(publication: Path, tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.+?)```", (publication / "model" / "README.md").read_text(), re.DOTALL)
    with running(tmp_path / "hub") as endpoint:
        push(publication, endpoint)
        environment = {**os.environ, **client_environment(endpoint), "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run(
            [sys.executable, "-c", code + "print(answer[0]['generated_text'][-1]['role'])"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "assistant"


def test_a_push_is_entered_into_the_hubs_index_and_a_later_one_takes_its_place(
    publication: Path, tmp_path: Path
) -> None:
    with running(tmp_path / "hub") as endpoint:
        assert publish.on_hub(endpoint) == ()
        first = publish.enter(publication, push(publication, endpoint), endpoint)
        assert publish.on_hub(endpoint) == (first,)
        assert first.recommended == "Pocket-135M-Q8_0.gguf"
        weights = publication / "model" / "model.safetensors"
        weights.rename(weights.with_name("model-00001-of-00001.safetensors"))
        second = publish.enter(publication, push(publication, endpoint), endpoint)
        assert publish.on_hub(endpoint) == (second,)
        assert second.commit != first.commit


def test_a_version_has_a_tag_that_stays_what_it_is(publication: Path, tmp_path: Path) -> None:
    def tagged(**more: bool) -> list[publish.Published]:
        return publish.push(
            publication, "zoo/pocket-135m", endpoint, private=False, message="version 1", tag="v1", **more
        )

    with running(tmp_path / "hub") as endpoint:
        [first, *_] = tagged()
        assert hub.pin(HubRef("zoo/pocket-135m", "v1"), "model", [endpoint]).commit == first.commit
        assert tagged()[0].commit == first.commit
        (publication / "model" / "plots").mkdir(exist_ok=True)
        (publication / "model" / "recipe.yaml").write_text("name: another\n")
        with pytest.raises(HubError, match="overwrite"):
            tagged()
        assert hub.pin(HubRef("zoo/pocket-135m", "v1"), "model", [endpoint]).commit == first.commit
        [moved, *_] = tagged(overwrite=True)
        assert hub.pin(HubRef("zoo/pocket-135m", "v1"), "model", [endpoint]).commit == moved.commit != first.commit


def test_a_checkpoint_on_the_way_has_a_branch_of_its_own(context: StageContext, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"branches": {"after-sft": StageRef("sft")}})
    sft = {"branches.after-sft": context.inputs["model"]}
    publish.run(spec, replace(context, inputs={**context.inputs, **sft}))
    with running(tmp_path / "hub") as endpoint:
        push(context.out, endpoint)
        there = hub.files(hub.pin(HubRef("zoo/pocket-135m", "after-sft"), "model", [endpoint]))
        assert {"model.safetensors", "config.json", "README.md"} <= set(there)
        assert "recipe.yaml" not in there
        assert "recipe.yaml" in hub.files(hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint]))


def test_a_collection_ties_the_repositories_together(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        publish.push(
            publication, "zoo/pocket-135m", endpoint, private=False, message="version 1", collection="Pocket 135M"
        )
        api = HfApi(endpoint.url, token=endpoint.token)
        [found] = list(api.list_collections(owner="zoo"))
        items = {(item.item_id, item.item_type) for item in api.get_collection(found.slug).items}
        assert items == {("zoo/pocket-135m", "model"), ("zoo/pocket-135m-GGUF", "model")}

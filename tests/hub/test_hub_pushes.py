"""Branches, tags, collections and checkpoints of a publication, and what is never overwritten."""

import os
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from zoo import hub
from zoo.errors import HubError
from zoo.hub import Endpoint, Pinned
from zoo.refs import HubRef

REPO = "a/b"


def push(endpoint: Endpoint, folder: Path, **options: object) -> str:
    return hub.upload(endpoint, REPO, "model", folder, "content", False, **options)  # type: ignore[arg-type]


def api(endpoint: Endpoint) -> HfApi:
    return HfApi(endpoint=endpoint.url, token=endpoint.token)


def test_nothing_published_is_overwritten_unasked(endpoint: Endpoint, folder: Path) -> None:
    first = push(endpoint, folder, overwrite=False)
    assert push(endpoint, folder, overwrite=False) == first
    (folder / "model.safetensors").write_bytes(os.urandom(400_000))
    with pytest.raises(
        HubError, match=r"a/b@main: holds model\.safetensors, which this push would replace.*--overwrite"
    ):
        push(endpoint, folder, overwrite=False)
    assert hub.pin(HubRef(REPO), "model", [endpoint]).commit == first
    assert push(endpoint, folder) != first


def test_a_card_that_was_edited_on_the_hub_is_not_overwritten(endpoint: Endpoint, folder: Path) -> None:
    push(endpoint, folder)
    api(endpoint).upload_file(path_or_fileobj=b"# By hand\n", path_in_repo="README.md", repo_id=REPO)
    with pytest.raises(HubError, match=r"README\.md"):
        push(endpoint, folder, overwrite=False)


def test_a_new_file_beside_what_is_there_overwrites_nothing(endpoint: Endpoint, folder: Path) -> None:
    first = push(endpoint, folder, overwrite=False)
    (folder / "plot.svg").write_text("<svg/>")
    assert push(endpoint, folder, overwrite=False) != first


def test_removing_counts_as_overwriting(endpoint: Endpoint, folder: Path) -> None:
    push(endpoint, folder)
    (folder / "config.json").unlink()
    with pytest.raises(HubError, match=r"config\.json"):
        push(endpoint, folder, overwrite=False, delete_others=True)


def test_a_branch_that_moved_is_refused(endpoint: Endpoint, folder: Path) -> None:
    first = push(endpoint, folder)
    (folder / "config.json").write_text("1")
    second = push(endpoint, folder, parent_commit=first)
    (folder / "config.json").write_text("2")
    with pytest.raises(HubError, match="changed by somebody else meanwhile"):
        push(endpoint, folder, parent_commit=first)
    assert hub.pin(HubRef(REPO), "model", [endpoint]).commit == second


def test_a_branch_is_made_and_main_stays(endpoint: Endpoint, folder: Path) -> None:
    first = push(endpoint, folder)
    (folder / "config.json").write_text("1")
    on_branch = push(endpoint, folder, branch="stage/sft")
    assert hub.pin(HubRef(REPO, "stage/sft"), "model", [endpoint]).commit == on_branch
    assert hub.pin(HubRef(REPO), "model", [endpoint]).commit == first


def test_a_tag_names_the_commit_and_moves_only_when_asked(endpoint: Endpoint, folder: Path) -> None:
    first = push(endpoint, folder, tag="v1", overwrite=False)
    assert push(endpoint, folder, tag="v1", overwrite=False) == first
    assert hub.pin(HubRef(REPO, "v1"), "model", [endpoint]).commit == first
    (folder / "new.txt").write_text("1")
    with pytest.raises(HubError, match="tag 'v1' names commit"):
        push(endpoint, folder, tag="v1", overwrite=False)
    assert "new.txt" not in hub.files(hub.pin(HubRef(REPO), "model", [endpoint]))
    moved = push(endpoint, folder, tag="v1")
    assert hub.pin(HubRef(REPO, "v1"), "model", [endpoint]).commit == moved


def test_a_collection_ties_repositories_together(endpoint: Endpoint, folder: Path) -> None:
    push(endpoint, folder)
    hub.upload(endpoint, "a/rows", "dataset", folder, "content", False)
    items: list[tuple[str, hub.Kind]] = [("a/b", "model"), ("a/rows", "dataset")]
    slug = hub.create_collection(endpoint, "Pocket agents", items[:1], private=True, description="Small ones")
    assert hub.create_collection(endpoint, "Pocket agents", items, private=True) == slug
    found = api(endpoint).get_collection(slug)
    assert [(item.item_id, item.item_type) for item in found.items] == items
    assert (found.title, found.private, found.description) == ("Pocket agents", True, "Small ones")
    assert slug.startswith("a/pocket-agents-")
    with pytest.raises(HubError, match="no such repository"):
        hub.create_collection(endpoint, "Other", [("a/absent", "model")], private=True)
    with pytest.raises(HubError, match="1 to 60 characters"):
        hub.create_collection(endpoint, "x" * 61, items, private=True)


def checkpoint(tmp_path: Path, step: int) -> Path:
    made = tmp_path / f"checkpoint-{step}"
    made.mkdir()
    (made / "model.safetensors").write_bytes(os.urandom(100_000))
    (made / "optimizer.pt").write_bytes(os.urandom(200_000))
    (made / "trainer_state.json").write_text(f'{{"global_step": {step}}}')
    (made / "whole.json").write_text("{}")
    return made


def test_a_checkpoint_goes_to_its_branch_and_comes_back_whole(endpoint: Endpoint, folder: Path, tmp_path: Path) -> None:
    push(endpoint, folder)
    for step in (10, 20):
        commit = hub.upload_checkpoint(endpoint, REPO, checkpoint(tmp_path, step), "checkpoints/sft")
    back = tmp_path / "machine-2" / "checkpoint-20"
    assert hub.fetch_checkpoint(endpoint, REPO, "checkpoints/sft", back) == commit
    sent = {path.name: path.read_bytes() for path in (tmp_path / "checkpoint-20").iterdir()}
    assert {path.name: path.read_bytes() for path in back.iterdir()} == sent
    assert "optimizer.pt" not in hub.files(hub.pin(HubRef(REPO), "model", [endpoint]))


def test_a_checkpoint_of_a_repository_that_is_not_there_yet_makes_it_private(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    hub.upload_checkpoint(endpoint, "a/new", checkpoint(tmp_path, 1), "checkpoints/sft")
    assert api(endpoint).model_info("a/new").private
    with pytest.raises(HubError, match="not this revision"):
        hub.fetch_checkpoint(endpoint, "a/new", "checkpoints/grpo", tmp_path / "x")


def test_a_models_pickles_stay_away_from_everybody_else(endpoint: Endpoint, tmp_path: Path) -> None:
    commit = hub.upload_checkpoint(endpoint, REPO, checkpoint(tmp_path, 1), "checkpoints/sft")
    found = hub.fetch(Pinned(REPO, "model", commit, endpoint), tmp_path / "back")
    assert not (found / "optimizer.pt").exists()

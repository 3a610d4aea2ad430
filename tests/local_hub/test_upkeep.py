"""What is damaged is found, and what nobody needs goes."""

import json
import os
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from huggingface_hub import HfApi

from zoo.cli.hubs import hub
from zoo.errors import HubError
from zoo.local_hub import running
from zoo.local_hub.database import FILE_NAME
from zoo.local_hub.upkeep import clean, inspect, listing

CONTENT = os.urandom(50_000)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A Hub with two repositories, a branch, a tag and a pull request."""
    root = tmp_path / "hub"
    with running(root) as endpoint:
        api = HfApi(endpoint=endpoint.url, token=endpoint.token)
        for name in ("a/one", "a/two"):
            api.create_repo(name, private=name == "a/two")
            api.upload_file(path_or_fileobj=CONTENT + name.encode(), path_in_repo="w.safetensors", repo_id=name)
            api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=name)
        api.create_branch("a/one", branch="x")
        api.create_tag("a/one", tag="v1")
        api.upload_file(path_or_fileobj=b"pull", path_in_repo="p.txt", repo_id="a/one", create_pr=True)
    return root


def blob(root: Path, content: bytes) -> Path:
    return next(path for path in root.glob("blobs/??/*") if path.read_bytes() == content)


def cut(root: Path) -> None:
    blob(root, CONTENT + b"a/one").write_bytes(CONTENT[:100])


def flip(root: Path) -> None:
    blob(root, CONTENT + b"a/one").write_bytes(CONTENT + b"A/one")


def lose(root: Path) -> None:
    blob(root, b"{}").unlink()


def execute(statement: str) -> Callable[[Path], None]:
    def do(root: Path) -> None:
        with sqlite3.connect(root / FILE_NAME) as database:
            database.execute(statement)

    return do


DAMAGES: dict[str, Callable[[Path], None]] = {
    "w.safetensors: its content has 100 bytes": cut,
    "has the SHA-256": flip,
    "config.json: its content .* is not here": lose,
    "branch x: leads to commit .* which is not here": execute(f"UPDATE refs SET sha = '{'f' * 40}' WHERE name = 'x'"),
    "has the parent .* which is not here": execute("DELETE FROM commits WHERE parent IS NULL"),
    "has no branch 'main'": execute("DELETE FROM refs WHERE name = 'main'"),
    "git's digest is": execute("UPDATE commits SET files = replace(files, '[\"9e26dfe', '[\"0000000')"),
}


def test_a_sound_hub_has_no_damage(store: Path) -> None:
    found = inspect(store)
    assert found.damages == ()
    assert (found.repositories, found.commits) == (2, 7)
    assert found.contents == 5
    assert found.bytes == sum(path.stat().st_size for path in store.glob("blobs/??/*"))


@pytest.mark.parametrize("said", DAMAGES)
def test_every_damage_is_found_and_named(store: Path, said: str) -> None:
    DAMAGES[said](store)
    outcome = CliRunner().invoke(hub, ["fsck", "--root", str(store)])
    assert isinstance(outcome.exception, HubError)
    lines = "\n".join(f"{damage.where}: {damage.what}" for damage in inspect(store).damages)
    assert re.search(said, lines), lines
    assert lines in outcome.output
    told = json.loads(CliRunner().invoke(hub, ["fsck", "--json", "--root", str(store)]).output.splitlines()[0])
    assert len(told["damages"]) == len(lines.splitlines())


def test_a_damaged_content_is_mended_by_deleting_it_and_uploading_again(store: Path) -> None:
    flip(store)
    bad = [path for path in store.glob("blobs/??/*") if path.read_bytes() == CONTENT + b"A/one"]
    bad[0].unlink()
    with running(store) as endpoint:
        api = HfApi(endpoint=endpoint.url, token=endpoint.token)
        api.create_repo("a/three")
        api.upload_file(path_or_fileobj=CONTENT + b"a/one", path_in_repo="w.safetensors", repo_id="a/three")
    assert inspect(store).damages == ()


def test_cleaning_takes_what_nothing_leads_to_and_no_more(store: Path) -> None:
    with running(store) as endpoint:
        api = HfApi(endpoint=endpoint.url, token=endpoint.token)
        api.delete_repo("a/two")
        api.upload_file(path_or_fileobj=CONTENT[:9], path_in_repo="old.bin", repo_id="a/one", revision="x")
        api.delete_branch("a/one", branch="x")
    old = time.time() - 90_000
    for path in store.glob("blobs/??/*"):
        os.utime(path, (old, old))
    assert clean(store, 3600, dry_run=True).commits == 0
    planned = clean(store, 0, dry_run=True)
    assert (planned.commits, planned.files) == (1, 2)
    assert planned.bytes == 9 + len(CONTENT) + len("a/two")
    assert clean(store, 0) == planned
    assert clean(store, 0).files == 0
    found = inspect(store)
    assert found.damages == ()
    assert found.repositories == 1


def test_cleaning_leaves_what_is_young(store: Path) -> None:
    (store / "incoming" / "under-way").write_bytes(b"half")
    outcome = CliRunner().invoke(hub, ["gc", "--root", str(store), "--json"])
    assert json.loads(outcome.output) == {"commits": 0, "files": 0, "bytes": 0, "dry_run": False}
    outcome = CliRunner().invoke(hub, ["gc", "--root", str(store), "--older-than", "0s"])
    assert "deleted 0 commits and 1 files" in outcome.output
    assert not (store / "incoming" / "under-way").exists()
    assert CliRunner().invoke(hub, ["gc", "--older-than", "soon"]).exit_code == 2


def test_repositories_are_listed(store: Path) -> None:
    assert [(row.kind, row.name, row.private, row.files) for row in listing(store)] == [
        ("model", "a/one", False, 3),
        ("model", "a/two", True, 3),
    ]
    told = CliRunner().invoke(hub, ["ls", "--root", str(store)]).output.splitlines()
    assert "a/two" in told[1]
    assert told[1].endswith("private")


@pytest.mark.parametrize("command", [["ls"], ["fsck"], ["gc"], ["token", "list"], ["token", "revoke", "x"]])
def test_a_folder_that_is_no_hub_is_said_to_be_none_and_left_alone(tmp_path: Path, command: list[str]) -> None:
    outcome = CliRunner().invoke(hub, [*command, "--root", str(tmp_path / "nothing")])
    assert isinstance(outcome.exception, HubError)
    assert "is no Hub's folder" in str(outcome.exception)
    assert not (tmp_path / "nothing").exists()

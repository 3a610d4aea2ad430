"""Pushing to and pulling from a Hub that fails: it ends whole, or with one line and nothing lost."""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants

from zoo import hub
from zoo.errors import HubError
from zoo.hub import Endpoint, Pinned
from zoo.local_hub import running
from zoo.local_hub.faults import Fault, Faults
from zoo.local_hub.tokens import Tokens
from zoo.local_hub.upkeep import inspect
from zoo.refs import HubRef

Failing = Callable[..., AbstractContextManager[tuple[Endpoint, Faults]]]
REPO = "a/b"


def push(endpoint: Endpoint, folder: Path, **options: object) -> Pinned:
    sleeps: list[float] = []
    commit = hub.upload(endpoint, REPO, "model", folder, "content", False, sleep=sleeps.append, **options)  # type: ignore[arg-type]
    return Pinned(REPO, "model", commit, endpoint)


def at(pinned: Pinned, endpoint: Endpoint) -> Pinned:
    return Pinned(pinned.repo, pinned.kind, pinned.commit, endpoint)


def no_sleep(seconds: float) -> None:
    """Without waiting."""


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".gitattributes"
    }


def is_whole(root: Path) -> bool:
    return inspect(root).damages == ()


PASSING = {
    "slow": [Fault("delay", seconds=0.3, times=3)],
    "busy": [Fault("answer", status=429, retry_after="1", times=2)],
    "busy at the commit": [Fault("answer", "/commit/", status=429, times=2)],
    "broken at the commit": [Fault("answer", "/commit/", status=500, times=3)],
    "broken at the batch": [Fault("answer", "/objects/batch", status=503, times=2)],
    "weights cut off": [Fault("reset-request", "/_lfs/", "PUT", after_bytes=100_000)],
    "commit cut off": [Fault("reset-request", "/commit/", after_bytes=10)],
    "answer of the commit lost": [Fault("reset-response", "/commit/")],
    "answer of the commit truncated": [Fault("truncate", "/commit/", after_bytes=20)],
    "preupload cut off": [Fault("reset-response", "/preupload/")],
    "several at once": [
        Fault("answer", "/api/repos/create", status=500),
        Fault("reset-request", "/_lfs/", "PUT", after_bytes=1000, times=2),
        Fault("truncate", "/commit/", after_bytes=5),
    ],
}


@pytest.mark.parametrize("name", PASSING)
def test_a_push_outlives_what_passes(failing: Failing, folder: Path, root: Path, tmp_path: Path, name: str) -> None:
    with failing(*PASSING[name]) as (endpoint, faults):
        pinned = push(endpoint, folder)
        assert any(seen.fault for seen in faults.seen), "the fault was never met"
    with running(root) as endpoint:
        assert contents(hub.fetch(at(pinned, endpoint), tmp_path / "back")) == contents(folder)
        titles = [commit.title for commit in HfApi(endpoint=endpoint.url).list_repo_commits(REPO)]
    assert titles == ["content", "initial commit"]
    assert is_whole(root)


LASTING = {
    "commit": [Fault("answer", "/commit/", status=503, times=999)],
    "weights": [Fault("reset-request", "/_lfs/", "PUT", after_bytes=1000, times=999)],
    "commit cut off": [Fault("reset-request", "/commit/", after_bytes=10, times=999)],
    "refused": [Fault("answer", "/commit/", status=403)],
}


@pytest.mark.parametrize("name", LASTING)
def test_a_push_that_fails_shows_nothing_and_can_be_run_again(
    failing: Failing, folder: Path, root: Path, name: str
) -> None:
    with failing(*LASTING[name]) as (endpoint, _), pytest.raises(HubError) as caught:
        push(endpoint, folder)
    assert "\n" not in str(caught.value)
    assert REPO in str(caught.value)
    with running(root) as endpoint:
        assert set(hub.files(hub.pin(HubRef(REPO), "model", [endpoint]))) == {".gitattributes"}
        assert set(hub.files(push(endpoint, folder))) == {".gitattributes", *contents(folder)}
    assert is_whole(root)


def test_what_arrived_is_not_sent_again(failing: Failing, folder: Path) -> None:
    """Counted in bytes: three large files; the push dies at its commit; the next one sends none of them."""
    for number in range(2):
        (folder / f"more-{number}.safetensors").write_bytes(os.urandom(300_000))
    with failing(Fault("answer", "/commit/", status=403)) as (endpoint, faults), pytest.raises(HubError):
        push(endpoint, folder)
    assert faults.sent_up("/_lfs/", "PUT") == 1_000_000
    with failing() as (endpoint, faults):
        push(endpoint, folder)
    assert faults.sent_up("/_lfs/") == 0
    assert faults.sent_up() < 10_000


def test_of_a_push_cut_in_its_weights_only_the_missing_ones_are_sent(failing: Failing, folder: Path) -> None:
    for number in range(3):
        (folder / f"more-{number}.safetensors").write_bytes(os.urandom(300_000))
    with failing(Fault("reset-request", "/_lfs/", "PUT", after_bytes=200_000)) as (endpoint, faults):
        push(endpoint, folder)
    puts = [seen for seen in faults.seen if seen.method == "PUT" and seen.fault is None]
    assert sum(seen.body_bytes for seen in puts) == 400_000 + 3 * 300_000
    assert len(puts) == 4


def test_a_hub_that_dies_between_weights_and_card_shows_neither(failing: Failing, folder: Path, root: Path) -> None:
    """The weights are there, the commit that would show them with the card is not: the Hub is gone by then."""
    said: list[str] = []

    def try_to_push() -> None:
        try:
            push(endpoint, folder)
        except HubError as error:
            said.append(str(error))

    with failing(Fault("delay", "/commit/", seconds=60)) as (endpoint, faults):
        thread = threading.Thread(target=try_to_push, daemon=True)
        thread.start()
        while not any("/commit/" in seen.path for seen in faults.seen):
            thread.join(0.02)
    thread.join(30)
    assert len(said) == 1
    assert faults.sent_up("/_lfs/") >= 400_000
    with failing() as (endpoint, faults):
        assert set(hub.files(hub.pin(HubRef(REPO), "model", [endpoint]))) == {".gitattributes"}
        push(endpoint, folder)
        assert faults.sent_up("/_lfs/") == 0
    assert is_whole(root)


def test_two_pushes_at_once_both_arrive_whole(endpoint: Endpoint, folder: Path, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "adapter.safetensors").write_bytes(os.urandom(200_000))
    (other / "notes.txt").write_text("two")
    found: list[Pinned] = []
    threads = [
        threading.Thread(target=lambda place=place: found.append(push(endpoint, place))) for place in (folder, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    there = hub.files(hub.pin(HubRef(REPO), "model", [endpoint]))
    assert set(there) == {".gitattributes", *contents(folder), *contents(other)}
    assert is_whole(root)


PULLING = {
    "slow": [Fault("delay", "/resolve/", seconds=0.2, times=3)],
    "busy": [Fault("answer", "/resolve/", status=429, retry_after="1", times=2)],
    "busy at the listing": [Fault("answer", "/tree/", status=429, times=2)],
    "broken": [Fault("answer", "/resolve/", status=500, times=3)],
    "reset": [Fault("reset-response", "model.safetensors", "GET", after_bytes=150_000, times=2)],
    "truncated": [Fault("truncate", "model.safetensors", "GET", after_bytes=150_000, times=2)],
    "wrong bytes": [Fault("corrupt", "model.safetensors", "GET", after_bytes=1000)],
    "wrong bytes of a small file": [Fault("corrupt", "config.json", "GET")],
}


@pytest.mark.parametrize("name", PULLING)
@pytest.mark.parametrize("into", ["folder", "cache"])
def test_a_pull_outlives_what_passes(failing: Failing, folder: Path, tmp_path: Path, name: str, into: str) -> None:
    with failing(*PULLING[name]) as (endpoint, faults):
        pinned = push(endpoint, folder)
        destination = tmp_path / "back" if into == "folder" else None
        found = hub.fetch(pinned, destination, cache=tmp_path / "cache", sleep=no_sleep)
        assert any(seen.fault for seen in faults.seen), "the fault was never met"
    assert contents(found) == contents(folder)


def test_a_broken_download_goes_on_where_it_was(failing: Failing, folder: Path, tmp_path: Path) -> None:
    """In steps of the client's own reads, of 10 MB each."""
    (folder / "model.safetensors").write_bytes(os.urandom(24_000_000))
    with failing(Fault("truncate", "model.safetensors", "GET", after_bytes=15_000_000)) as (endpoint, faults):
        hub.fetch(push(endpoint, folder), tmp_path / "back", sleep=no_sleep)
    gets = [seen for seen in faults.seen if seen.method == "GET" and seen.path.endswith("model.safetensors")]
    assert len(gets) == 2
    assert 24_000_000 - 15_000_000 <= gets[1].sent_bytes <= 24_000_000 - constants.DOWNLOAD_CHUNK_SIZE


STUCK = {
    "answered 503": [Fault("answer", "/resolve/", "GET", status=503, times=999)],
    "digest": [Fault("corrupt", "model.safetensors", "GET", after_bytes=5, times=999)],
    "ReadError": [Fault("reset-response", "model.safetensors", "GET", after_bytes=5, times=999)],
}


@pytest.mark.parametrize("said", STUCK)
def test_a_pull_that_fails_leaves_nothing_that_looks_whole(
    failing: Failing, folder: Path, root: Path, tmp_path: Path, said: str
) -> None:
    target = tmp_path / "back"
    with failing(*STUCK[said]) as (endpoint, _):
        pinned = push(endpoint, folder)
        with pytest.raises(HubError, match=said) as caught:
            hub.fetch(pinned, target, sleep=no_sleep)
    assert "\n" not in str(caught.value)
    assert not (target / "model.safetensors").exists()
    with running(root) as endpoint:
        assert contents(hub.fetch(at(pinned, endpoint), target)) == contents(folder)
    assert [path for path in target.iterdir() if path.name.startswith(".download")] == []


def test_a_spoiled_file_in_the_cache_is_not_used(endpoint: Endpoint, folder: Path, tmp_path: Path) -> None:
    pinned = push(endpoint, folder)
    first = hub.fetch(pinned, cache=tmp_path / "cache")
    (first / "model.safetensors").resolve().write_bytes(bytes(400_000))
    assert contents(hub.fetch(pinned, cache=tmp_path / "cache")) == contents(folder)


def test_one_file_with_wrong_bytes_is_fetched_again_or_refused(failing: Failing, folder: Path, tmp_path: Path) -> None:
    with failing(Fault("corrupt", "config.json", "GET")) as (endpoint, _):
        pinned = push(endpoint, folder)
        assert hub.fetch_file(pinned, "config.json", cache=tmp_path / "one").read_text() == "{}"
    lasting = Fault("corrupt", "config.json", "GET", times=99)
    with failing(lasting) as (endpoint, _), pytest.raises(HubError, match="another digest"):
        hub.fetch_file(at(pinned, endpoint), "config.json", cache=tmp_path / "two", sleep=no_sleep)
    assert not [path for path in (tmp_path / "two").rglob("config.json") if path.exists()]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_pin_outlives_what_passes(failing: Failing, folder: Path, status: int) -> None:
    with failing(Fault("answer", "/revision/", status=status, times=2)) as (endpoint, _):
        commit = push(endpoint, folder).commit
        waits: list[float] = []
        assert hub.pin(HubRef(REPO), "model", [endpoint], waits.append).commit == commit
    assert len(waits) == 2


def test_a_token_that_may_only_read_is_refused_before_any_work(endpoint: Endpoint, root: Path, folder: Path) -> None:
    push(endpoint, folder)
    reader = Endpoint(endpoint.url, Tokens(root).add("reader", "read"), embedded=True)
    with pytest.raises(HubError, match=r"role is 'read', writing a/b needs 'write'\. .* --role write"):
        hub.check_rights(reader, REPO)
    assert hub.pin(HubRef(REPO), "model", [reader])
    (folder / "config.json").write_text("changed")
    with pytest.raises(HubError, match=r"403.*may only read"):
        push(reader, folder)
    writer = Endpoint(endpoint.url, Tokens(root).add("writer", "write"), embedded=True)
    hub.check_rights(writer, REPO)
    push(writer, folder)


def test_a_repository_name_of_300_characters_is_refused_in_one_line(endpoint: Endpoint, folder: Path) -> None:
    with pytest.raises(HubError) as caught:
        hub.upload(endpoint, "a/" + "x" * 300, "model", folder, "content", False)
    assert "\n" not in str(caught.value)

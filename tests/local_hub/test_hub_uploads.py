"""Uploads that are large, broken, forged or badly named."""

import base64
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hub_requests import Answer, Served, ask
from huggingface_hub import HfApi

from zoo.hub import Endpoint


@pytest.fixture
def repo(api: HfApi) -> str:
    return api.create_repo("a/b").repo_id


def commit_of(endpoint: Endpoint, *lines: dict[str, object]) -> Answer:
    header = {"key": "header", "value": {"summary": "test", "description": ""}}
    body = b"".join(json.dumps(line).encode() + b"\n" for line in (header, *lines))
    return ask(endpoint, "POST", "/api/models/a/b/commit/main", body, token=endpoint.token)


def file_line(path: object, content: bytes = b"x") -> dict[str, object]:
    text = base64.b64encode(content).decode()
    return {"key": "file", "value": {"path": path, "content": text, "encoding": "base64"}}


def batch(endpoint: Endpoint, content: bytes, size: int | None = None) -> dict[str, object]:
    """What the batch call says about uploading a content."""
    wanted = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content) if size is None else size}
    body = json.dumps({"operation": "upload", "objects": [wanted]}).encode()
    answer = ask(endpoint, "POST", "/a/b.git/info/lfs/objects/batch", body, token=endpoint.token)
    assert answer.status == 200, answer.body
    found: dict[str, object] = json.loads(answer.body)["objects"][0]
    return found


def upload_path(shape: dict[str, object]) -> str:
    address = urlsplit(shape["actions"]["upload"]["href"])  # type: ignore[index]
    return f"{address.path}?{address.query}"


def test_a_file_above_the_part_size_arrives_in_parts(start: Callable[..., Served], tmp_path: Path) -> None:
    served = start(part_bytes=1_000_000)
    api = HfApi(endpoint=served.endpoint.url, token=served.endpoint.token)
    api.create_repo("a/b")
    content = os.urandom(3_300_000)
    shape = batch(served.endpoint, content)
    assert set(shape["actions"]["upload"]["header"]) == {"chunk_size", "1", "2", "3", "4"}  # type: ignore[index]
    api.upload_file(path_or_fileobj=content, path_in_repo="w.safetensors", repo_id="a/b")
    assert ask(served.endpoint, "GET", "/a/b/resolve/main/w.safetensors").body == content


def test_a_content_that_is_here_is_not_asked_for_again(endpoint: Endpoint, repo: str, api: HfApi) -> None:
    content = os.urandom(50_000)
    api.upload_file(path_or_fileobj=content, path_in_repo="w.safetensors", repo_id=repo)
    assert "actions" not in batch(endpoint, content)


def test_a_content_with_another_digest_is_not_kept(endpoint: Endpoint, repo: str, root: Path) -> None:
    announced = os.urandom(1000)
    answer = ask(endpoint, "PUT", upload_path(batch(endpoint, announced)), os.urandom(1000))
    assert answer.status == 422
    assert b"SHA-256" in answer.body
    assert "actions" in batch(endpoint, announced)
    assert not list((root / "incoming").iterdir())


def test_a_content_of_another_length_is_not_kept(endpoint: Endpoint, repo: str) -> None:
    announced = os.urandom(1000)
    for sent in (announced[:-1], announced + b"x"):
        assert ask(endpoint, "PUT", upload_path(batch(endpoint, announced)), sent).status == 422
    assert "actions" in batch(endpoint, announced)


def test_an_upload_address_is_good_for_one_content(endpoint: Endpoint, repo: str) -> None:
    one, other = os.urandom(100), os.urandom(100)
    path = upload_path(batch(endpoint, one))
    swapped = path.replace(hashlib.sha256(one).hexdigest(), hashlib.sha256(other).hexdigest())
    assert ask(endpoint, "PUT", swapped, other).status == 403
    assert ask(endpoint, "PUT", path.replace("size=100", "size=101"), one).status == 403
    assert ask(endpoint, "PUT", path.partition("?")[0], one).status == 403
    assert ask(endpoint, "PUT", path, one).status == 200


def test_a_commit_needs_its_large_files_first(endpoint: Endpoint, repo: str) -> None:
    line = {"key": "lfsFile", "value": {"path": "w.bin", "algo": "sha256", "oid": "0" * 64, "size": 5}}
    answer = commit_of(endpoint, line)
    assert answer.status == 400
    assert b"was not uploaded" in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../up.txt",
        "a/../../up.txt",
        "a//b.txt",
        "./a.txt",
        "a/",
        "",
        ".git/config",
        "a\\b.txt",
        "a\nb.txt",
        "nul\0.txt",
        "x" * 256,
        "é" * 128,
        "/".join(["d" * 100] * 11),
        "\ud800.txt",
        7,
        None,
    ],
)
def test_a_path_that_could_hurt_whoever_downloads_it_is_refused(endpoint: Endpoint, repo: str, path: object) -> None:
    answer = commit_of(endpoint, file_line("fine.txt"), file_line(path))
    assert answer.status == 400, answer.body
    listed = ask(endpoint, "GET", "/api/models/a/b/tree/main").body
    assert b"fine.txt" not in listed


def test_the_longest_names_are_fine(endpoint: Endpoint, repo: str) -> None:
    assert commit_of(endpoint, file_line("x" * 255), file_line("ordner/übung 1.txt")).status == 200


def test_a_path_is_not_both_a_file_and_a_folder(endpoint: Endpoint, repo: str) -> None:
    answer = commit_of(endpoint, file_line("a"), file_line("a/b.txt"))
    assert answer.status == 400
    assert b"a folder" in answer.body


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"[" * 10**5, b'{"key": "file"}', b'{"key": "x", "value": {}}'])
def test_a_body_that_is_no_commit_is_refused(endpoint: Endpoint, repo: str, body: bytes) -> None:
    assert ask(endpoint, "POST", "/api/models/a/b/commit/main", body, token=endpoint.token).status == 400


def test_bodies_have_bounds(endpoint: Endpoint, repo: str) -> None:
    body = b'{"name": "' + b"x" * (9 << 20) + b'"}'
    assert ask(endpoint, "POST", "/api/repos/create", body, token=endpoint.token).status == 413


@pytest.mark.parametrize("name", ["a", "a/b/c", "../x", "a/..", "a/b.git", "a--b/c", ".a/b", "a/b-", "a/" + "x" * 97])
def test_a_repositorys_name_is_checked(endpoint: Endpoint, name: str) -> None:
    owner, _, rest = name.partition("/")
    body = json.dumps({"organization": owner, "name": rest}).encode()
    assert ask(endpoint, "POST", "/api/repos/create", body, token=endpoint.token).status == 400


@pytest.mark.parametrize("tag", ["../x", "a..b", "/a", "a/", "a.lock", "refs/heads/x", "f" * 40, "-a", "x" * 256])
def test_a_tags_name_is_checked(endpoint: Endpoint, repo: str, tag: str) -> None:
    body = json.dumps({"tag": tag}).encode()
    assert ask(endpoint, "POST", "/api/models/a/b/tag/main", body, token=endpoint.token).status == 400

"""What a download's answer says, to the header."""

import hashlib
import os

import pytest
from hub_requests import ask
from huggingface_hub import HfApi

from zoo.hub import Endpoint

CONTENT = os.urandom(100_000)


@pytest.fixture
def commit(api: HfApi) -> str:
    api.create_repo("a/b")
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id="a/b")
    return api.upload_file(path_or_fileobj=CONTENT, path_in_repo="w.safetensors", repo_id="a/b").oid


def test_head_and_get_name_the_commit_and_the_digest(endpoint: Endpoint, commit: str) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    for method in ("HEAD", "GET"):
        answer = ask(endpoint, method, "/a/b/resolve/main/w.safetensors")
        assert answer.status == 200
        assert answer.headers["x-repo-commit"] == commit
        assert answer.headers["etag"] == answer.headers["x-linked-etag"] == f'"{digest}"'
        assert answer.headers["content-length"] == answer.headers["x-linked-size"] == "100000"
        assert answer.body == (CONTENT if method == "GET" else b"")


def test_a_small_files_etag_is_gits_own(endpoint: Endpoint, commit: str) -> None:
    answer = ask(endpoint, "HEAD", "/a/b/resolve/main/config.json")
    assert answer.headers["etag"] == f'"{hashlib.sha1(b"blob 2" + bytes(1) + b"{}").hexdigest()}"'
    assert "x-linked-etag" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=10-19", 10, 20), ("bytes=99990-", 99_990, 100_000), ("bytes=-5", 99_995, 100_000)],
)
def test_a_range_is_part_of_the_content(endpoint: Endpoint, commit: str, asked: str, start: int, end: int) -> None:
    answer = ask(endpoint, "GET", "/a/b/resolve/main/w.safetensors", headers={"Range": asked})
    assert (answer.status, answer.body) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/100000"


def test_a_range_past_the_end_is_416(endpoint: Endpoint, commit: str) -> None:
    answer = ask(endpoint, "GET", "/a/b/resolve/main/w.safetensors", headers={"Range": "bytes=100000-"})
    assert answer.status == 416
    assert answer.headers["content-range"] == "bytes */100000"


def test_a_missing_file_is_404_with_the_commit_it_is_missing_from(endpoint: Endpoint, commit: str) -> None:
    answer = ask(endpoint, "HEAD", "/a/b/resolve/main/absent.json")
    assert answer.status == 404
    assert answer.headers["x-error-code"] == "EntryNotFound"
    assert answer.headers["x-repo-commit"] == commit


def test_missing_revisions_and_repositories_have_their_codes(endpoint: Endpoint, commit: str) -> None:
    assert ask(endpoint, "HEAD", "/a/b/resolve/v9/config.json").headers["x-error-code"] == "RevisionNotFound"
    assert ask(endpoint, "HEAD", "/a/c/resolve/main/config.json").headers["x-error-code"] == "RepoNotFound"
    unknown = ask(endpoint, "GET", "/api/collections/a/b")
    assert unknown.status == 404
    assert "x-error-code" not in unknown.headers


@pytest.mark.parametrize("path", ["../../token", "%2e%2e/%2e%2e/token", "..%2f..%2ftoken", "/etc/passwd", "%00"])
def test_no_path_leads_out_of_the_repository(endpoint: Endpoint, commit: str, path: str) -> None:
    answer = ask(endpoint, "GET", f"/a/b/resolve/main/{path}")
    assert answer.status == 404
    assert (endpoint.token or "").encode() not in answer.body

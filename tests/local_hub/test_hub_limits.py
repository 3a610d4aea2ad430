"""What a Hub is sent that no client would send: it answers, bounded, and goes on."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hub_requests import ask
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError

from zoo.hub import Endpoint
from zoo.local_hub.call import chunks
from zoo.local_hub.refusal import Refused


def conversation(endpoint: Endpoint, *pieces: bytes) -> bytes:
    """The first answer to bytes exactly as given."""
    host, _, port = endpoint.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:  # it has answered and gone
                break
        try:
            return connection.recv(65536) or b"closed"
        except ConnectionResetError:
            return b"closed"


def is_alive(endpoint: Endpoint) -> bool:
    return ask(endpoint, "GET", "/api/local-hub").status == 200


def test_headers_have_a_bound(endpoint: Endpoint) -> None:
    fine = b"GET /api/local-hub HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 8000 + b"\r\n\r\n"
    assert b" 200 " in conversation(endpoint, fine)
    long = b"GET /api/local-hub HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"
    assert b" 200 " not in conversation(endpoint, long)
    many = b"GET /api/local-hub HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 50_000 + b"\r\n"
    assert b" 200 " not in conversation(endpoint, many)
    assert is_alive(endpoint)


def test_an_address_has_a_bound(endpoint: Endpoint) -> None:
    assert b" 200 " not in conversation(endpoint, b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert is_alive(endpoint)


def start_of_upload(endpoint: Endpoint, content: bytes) -> str:
    """The path that a content may be sent to."""
    wanted = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
    body = json.dumps({"operation": "upload", "objects": [wanted]}).encode()
    answer = ask(endpoint, "POST", "/a/b.git/info/lfs/objects/batch", body, token=endpoint.token)
    href: str = json.loads(answer.body)["objects"][0]["actions"]["upload"]["href"]
    return href.removeprefix(endpoint.url)


def test_an_upload_without_an_end_ends_at_the_size_it_announced(endpoint: Endpoint, api: HfApi, root: Path) -> None:
    api.create_repo("a/b")
    path = start_of_upload(endpoint, b"x" * 1000)
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    answer = conversation(endpoint, head, *([chunk] * 400))
    assert b" 413 " in answer or b" 422 " in answer or answer == b"closed"
    assert not list((root / "incoming").iterdir())
    assert is_alive(endpoint)


def test_a_call_without_an_end_ends_at_its_bound(endpoint: Endpoint) -> None:
    head = (
        f"POST /api/repos/create HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {endpoint.token}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
    answer = conversation(endpoint, head, *([b"10000\r\n" + b" " * 65536 + b"\r\n"] * 200))
    assert b" 413 " in answer or answer == b"closed"
    assert is_alive(endpoint)


class _Request:
    """A body as it comes, chunk by chunk; `None` is a chunk that never comes."""

    def __init__(self, *parts: bytes | None) -> None:
        self._parts = parts

    async def stream(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            if part is None:
                await asyncio.sleep(3600)
            else:
                yield part


async def collected(request: _Request, limit: int) -> bytes:
    return b"".join([chunk async for chunk in chunks(request, limit, idle_seconds=0.05)])  # type: ignore[arg-type]


def test_a_body_that_stops_coming_is_given_up() -> None:
    assert asyncio.run(collected(_Request(b"ab", b"", b"c"), 3)) == b"abc"
    with pytest.raises(Refused, match="Nothing of the body came") as caught:
        asyncio.run(collected(_Request(b"ab", None), 3))
    assert caught.value.status == 408
    with pytest.raises(Refused, match="longer than the 3 bytes"):
        asyncio.run(collected(_Request(b"ab", b"cd"), 3))


@pytest.mark.parametrize("revision", ["..", "%2e%2e", "main%00", "refs/heads/main%0a", "x" * 5000, "%ff%fe", "'; --"])
def test_a_revision_that_is_none_is_not_found(endpoint: Endpoint, api: HfApi, revision: str) -> None:
    api.create_repo("a/b")
    quoted = revision.replace(" ", "%20").replace("/", "%2F")
    for path in (f"/api/models/a/b/revision/{quoted}", f"/api/models/a/b/tree/{quoted}", f"/a/b/resolve/{quoted}/x"):
        assert ask(endpoint, "GET", path).status == 404, path
    assert is_alive(endpoint)


def test_a_repository_name_of_300_characters_is_refused(endpoint: Endpoint, api: HfApi) -> None:
    name = "x" * 300
    body = json.dumps({"organization": "a", "name": name}).encode()
    answer = ask(endpoint, "POST", "/api/repos/create", body, token=endpoint.token)
    assert answer.status == 400
    assert b"at most 96" in answer.body
    assert ask(endpoint, "GET", f"/api/models/a/{name}").status == 404
    assert ask(endpoint, "GET", f"/a/{name}/resolve/main/x").status == 404


@pytest.mark.parametrize(
    "name", ["übung.txt", "日本語/模型.bin", "emoji 🐙.txt", "a'b\"c.txt", "100%25.txt", "a+b&c=d#e?.txt"]
)
def test_names_beyond_ascii_go_there_and_back(api: HfApi, endpoint: Endpoint, tmp_path: Path, name: str) -> None:
    api.create_repo("a/b")
    api.upload_file(path_or_fileobj=name.encode(), path_in_repo=name, repo_id="a/b")
    assert name in api.list_repo_files("a/b")
    found = hf_hub_download("a/b", name, endpoint=endpoint.url, cache_dir=tmp_path)
    assert Path(found).read_bytes() == name.encode()
    assert api.get_paths_info("a/b", [name])[0].path == name


def test_a_folder_with_a_link_out_of_it_serves_what_it_was_given(
    api: HfApi, endpoint: Endpoint, tmp_path: Path
) -> None:
    """Contents are kept by digest: nothing a client sends can become a link in the Hub's folder."""
    api.create_repo("a/b")
    line = {
        "key": "file",
        "value": {"path": "link", "content": "L2V0Yy9wYXNzd2Q=", "encoding": "base64", "mode": "120000"},
    }
    body = json.dumps({"key": "header", "value": {"summary": "x"}}).encode() + b"\n" + json.dumps(line).encode()
    assert ask(endpoint, "POST", "/api/models/a/b/commit/main", body, token=endpoint.token).status == 200
    assert ask(endpoint, "GET", "/a/b/resolve/main/link").body == b"/etc/passwd"


def test_a_header_of_an_error_stays_one_line(endpoint: Endpoint, api: HfApi) -> None:
    api.create_repo("a/b")
    answer = ask(endpoint, "GET", "/a/b/resolve/main/x%0d%0aSet-Cookie:%20a=b")
    assert answer.status == 404
    assert "set-cookie" not in answer.headers
    with pytest.raises(HfHubHTTPError):
        api.create_tag("a/b", tag="x\r\nSet-Cookie: a=b")

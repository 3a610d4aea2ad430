"""Servers on a root: found, started, stopped, killed, several at a time."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hub_requests import Served, ask
from huggingface_hub import HfApi

from zoo import hub
from zoo.errors import HubError
from zoo.hub import Endpoint
from zoo.local_hub import live, running, serve
from zoo.local_hub.app import open_hub
from zoo.local_hub.reading import commit_of, file_of
from zoo.refs import HubRef

Start = Callable[..., Served]


def test_a_server_that_runs_is_found_and_left_running(start: Start, own_root: Path) -> None:
    served = start()
    with running(own_root) as endpoint:
        assert endpoint == served.endpoint
    assert live(own_root) == served.endpoint


def test_a_server_in_a_thread_ends_with_its_block(own_root: Path) -> None:
    with running(own_root) as endpoint:
        assert ask(endpoint, "GET", "/api/local-hub").status == 200
        assert live(own_root) is None
    with pytest.raises(ConnectionRefusedError):
        ask(endpoint, "GET", "/api/local-hub")


def test_a_killed_servers_note_is_not_believed(start: Start, own_root: Path) -> None:
    served = start()
    served.process.kill()
    served.process.wait()
    assert (own_root / "server.json").exists()
    with running(own_root) as endpoint:
        assert endpoint.url != served.endpoint.url


def test_another_program_on_the_noted_port_is_not_believed(own_root: Path, tmp_path: Path) -> None:
    own_root.mkdir()
    with running(tmp_path / "other") as other:
        (own_root / "server.json").write_text(json.dumps({"pid": 1, "url": other.url, "instance": "f" * 32}))
        assert live(own_root) is None


def test_an_interrupted_server_takes_its_note_away(start: Start, own_root: Path) -> None:
    served = start()
    served.process.terminate()
    served.process.wait(10)
    assert not (own_root / "server.json").exists()


def test_a_port_that_is_taken_is_a_clear_error(own_root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HubError, match=f"127.0.0.1:{port}: cannot listen"):
            serve(own_root, port)


def test_a_folder_that_cannot_be_used_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(HubError, match="cannot be a Hub's folder"), running(tmp_path / "file" / "hub"):
        pass


def test_serve_tells_the_environment_without_showing_the_token(own_root: Path) -> None:
    said: list[str] = []

    def interrupt(line: str) -> None:
        said.append(line)
        if "XET" in line:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        serve(own_root, log=interrupt)
    exports = [line for line in said if line.startswith("export ")]
    assert [line.partition("=")[0] for line in exports] == [
        "export HF_ENDPOINT",
        "export HF_TOKEN",
        "export HF_HUB_DISABLE_XET",
    ]
    token = (own_root / "token").read_text()
    assert token not in "".join(said)
    assert f"cat {own_root / 'token'}" in exports[1]
    assert not (own_root / "server.json").exists()


def begin_upload(endpoint: Endpoint, content: bytes) -> socket.socket:
    """Send half of a large file, as an upload that is under way."""
    wanted = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
    body = json.dumps({"operation": "upload", "objects": [wanted]}).encode()
    answer = ask(endpoint, "POST", "/a/b.git/info/lfs/objects/batch", body, token=endpoint.token)
    address = urlsplit(json.loads(answer.body)["objects"][0]["actions"]["upload"]["href"])
    host, _, port = address.netloc.partition(":")
    connection = socket.create_connection((host, int(port)))
    lines = (
        f"PUT {address.path}?{address.query} HTTP/1.1",
        f"Host: {address.netloc}",
        f"Content-Length: {len(content)}",
    )
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + content[: len(content) // 2])
    return connection


def test_a_server_killed_in_the_middle_of_an_upload_keeps_nothing_of_it(start: Start, own_root: Path) -> None:
    served = start(part_bytes=100 << 20)
    content = os.urandom(20 << 20)
    api = HfApi(endpoint=served.endpoint.url, token=served.endpoint.token)
    before = str(api.create_repo("a/b") and api.model_info("a/b").sha)
    connection = begin_upload(served.endpoint, content)
    while not any(path.stat().st_size for path in (own_root / "incoming").iterdir()):
        time.sleep(0.01)
    served.process.kill()
    served.process.wait()
    connection.close()
    assert commit_of(own_root, "model", "a/b", "main") == before
    again = start(part_bytes=100 << 20)
    api = HfApi(endpoint=again.endpoint.url, token=again.endpoint.token)
    assert api.list_repo_files("a/b") == [".gitattributes"]
    api.upload_file(path_or_fileobj=content, path_in_repo="w.bin", repo_id="a/b")
    assert file_of(own_root, "model", "a/b", "main", "w.bin") == content


_UPLOADER = """
import os, sys
from pathlib import Path
from zoo import hub
endpoint, folder = hub.Endpoint(sys.argv[1], sys.argv[2], embedded=True), Path(sys.argv[3])
for number in range(1000):
    (folder / "weights.bin").write_bytes(os.urandom(2_500_000))
    (folder / "number.txt").write_text(str(number))
    print(hub.upload(endpoint, "a/b", "model", folder, "next", private=True), flush=True)
"""


def test_kills_at_any_instant_leave_whole_commits(start: Start, own_root: Path, tmp_path: Path) -> None:
    """Uploads run while the server is killed, three times; whatever commit is visible then has every content whole."""
    folder = tmp_path / "content"
    folder.mkdir()
    told = []
    for round_number in range(3):
        served = start(part_bytes=1 << 20)
        command = [sys.executable, "-c", _UPLOADER, served.endpoint.url, served.endpoint.token or "", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as uploader:
            assert uploader.stdout is not None
            told.append(uploader.stdout.readline().strip())
            time.sleep(0.013 + 0.037 * round_number)
            served.process.kill()
            uploader.kill()
            told += [line.strip() for line in uploader.stdout]
    store = open_hub(own_root, "hf_0123456789abcdef")
    history = store.repositories.history(store.repositories.get("model", "a/b"), "main")
    assert {line for line in told if len(line) == 40} <= {commit.sha for commit in history}
    assert len(history) >= 4
    for commit in history:
        for path, entry in commit.files.items():
            content = store.blobs.path(entry.sha256).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (entry.size, entry.sha256), path


def test_two_servers_on_one_root_lose_no_commit(start: Start, own_root: Path, tmp_path: Path) -> None:
    servers = [start(), start()]
    errors: list[Exception] = []
    HfApi(endpoint=servers[0].endpoint.url, token=servers[0].endpoint.token).create_repo("a/b")

    def push(endpoint: Endpoint, label: str) -> None:
        api = HfApi(endpoint=endpoint.url, token=endpoint.token)
        try:
            for number in range(6):
                name = f"{label}-{number}.bin"
                api.upload_file(path_or_fileobj=os.urandom(10_000), path_in_repo=name, repo_id="a/b")
        except Exception as error:
            errors.append(error)

    threads = [
        threading.Thread(target=push, args=(served.endpoint, f"{index}{copy}"))
        for index, served in enumerate(servers)
        for copy in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    pinned = [hub.pin(HubRef("a/b"), "model", [served.endpoint]) for served in servers]
    assert pinned[0].commit == pinned[1].commit
    assert len(hub.files(pinned[0])) == 1 + 24
    assert len(HfApi(endpoint=servers[1].endpoint.url, token=False).list_repo_commits("a/b")) == 1 + 24


def test_what_nobody_uses_goes_only_when_it_is_old(own_root: Path) -> None:
    with running(own_root) as endpoint:
        api = HfApi(endpoint=endpoint.url, token=endpoint.token)
        for name in ("a/kept", "a/deleted"):
            api.create_repo(name)
            api.upload_file(path_or_fileobj=name.encode() * 100, path_in_repo="w.bin", repo_id=name)
        api.delete_repo("a/deleted")
    blobs = list((own_root / "blobs").glob("??/*"))
    leftover = own_root / "incoming" / "killed"
    leftover.write_bytes(b"half")
    open_hub(own_root, "hf_0123456789abcdef")
    assert all(path.exists() for path in [*blobs, leftover])
    for path in [*blobs, leftover]:
        os.utime(path, (time.time() - 90_000,) * 2)
    open_hub(own_root, "hf_0123456789abcdef")
    assert not leftover.exists()
    assert sum(path.exists() for path in blobs) == len(blobs) - 1
    assert file_of(own_root, "model", "a/kept", "main", "w.bin") == b"a/kept" * 100


def test_reading_a_folder_that_is_no_hub_makes_none(tmp_path: Path) -> None:
    assert commit_of(tmp_path / "absent", "model", "a/b", "main") is None
    assert file_of(tmp_path / "absent", "model", "a/b", "main", "x") is None
    assert not (tmp_path / "absent").exists()


def test_the_folder_can_be_read_without_a_server(own_root: Path) -> None:
    with running(own_root) as endpoint:
        api = HfApi(endpoint=endpoint.url, token=endpoint.token)
        api.create_repo("a/b", private=True)
        commit = api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id="a/b").oid
    assert commit_of(own_root, "model", "a/b", "main") == commit
    assert commit_of(own_root, "model", "a/b", "absent") is None
    assert commit_of(own_root, "dataset", "a/b", "main") is None
    assert file_of(own_root, "model", "a/b", commit, "config.json") == b"{}"
    assert file_of(own_root, "model", "a/b", commit, "absent.json") is None

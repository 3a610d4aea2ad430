"""Many files, large files, many clients; and the server's memory meanwhile."""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_requests import Served
from huggingface_hub import HfApi

from zoo import fingerprint, hub
from zoo.hub import Endpoint, Pinned
from zoo.local_hub.upkeep import inspect
from zoo.refs import HubRef

Start = Callable[..., Served]
GIB = 1 << 30


def peak_memory_bytes(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".gitattributes"
    }


def test_hundreds_of_small_files_go_there_and_back(endpoint: Endpoint, tmp_path: Path) -> None:
    folder = tmp_path / "content"
    for number in range(400):
        (folder / f"part {number % 7}").mkdir(parents=True, exist_ok=True)
        suffix = ".bin" if number % 4 == 0 else ".txt"
        (folder / f"part {number % 7}" / f"{number}{suffix}").write_bytes(f"content {number}".encode())
    commit = hub.upload(endpoint, "a/many", "dataset", folder, "many", private=False)
    pinned = Pinned("a/many", "dataset", commit, endpoint)
    assert len(hub.files(pinned)) == 401
    assert contents(hub.fetch(pinned, tmp_path / "back")) == contents(folder)
    assert len(HfApi(endpoint=endpoint.url).list_repo_commits("a/many", repo_type="dataset")) == 2


def test_many_clients_at_once_lose_nothing(start: Start, own_root: Path, tmp_path: Path) -> None:
    """Four push to one repository and four pull another, at the same time, from a server in a process of its own."""
    served = start(part_bytes=1 << 20)
    endpoint = served.endpoint
    source = tmp_path / "source"
    source.mkdir()
    (source / "w.safetensors").write_bytes(os.urandom(3_000_000))
    pinned = Pinned("a/read", "model", hub.upload(endpoint, "a/read", "model", source, "x", False), endpoint)
    errors: list[Exception] = []

    def do(action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            errors.append(error)

    def push(number: int) -> None:
        folder = tmp_path / f"push-{number}"
        folder.mkdir()
        (folder / f"{number}.safetensors").write_bytes(os.urandom(2_500_000))
        hub.upload(endpoint, "a/write", "model", folder, str(number), private=False)

    def pull(number: int) -> None:
        hub.fetch(pinned, tmp_path / f"pull-{number}")

    actions = [lambda n=n, what=what: what(n) for n in range(4) for what in (push, pull)]  # type: ignore[misc]
    threads = [threading.Thread(target=do, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    there = hub.files(hub.pin(HubRef("a/write"), "model", [endpoint]))
    assert {path for path in there if path.endswith(".safetensors")} == {f"{n}.safetensors" for n in range(4)}
    digests = {fingerprint.of_file(tmp_path / f"pull-{n}" / "w.safetensors") for n in range(4)}
    assert digests == {fingerprint.of_file(source / "w.safetensors")}
    assert inspect(own_root).damages == ()


def written(file: Path, size: int) -> str:
    """A file of noise that repeats after 64 MiB and two bytes, so that no part equals another; returns its SHA-256."""
    block, digest, left = os.urandom((64 << 20) + 2), hashlib.sha256(), size
    with file.open("wb") as stream:
        while left:
            piece = block[: min(left, len(block))]
            stream.write(piece)
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


@pytest.fixture
def size(tmp_path: Path) -> Iterator[int]:
    """5 GiB, or 1 GiB where the disk has no room for three of the former."""
    found = 5 * GIB if shutil.disk_usage(tmp_path).free > 18 * GIB else GIB
    yield found
    shutil.rmtree(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_file_of_gigabytes_is_never_in_memory(
    start: Start, tmp_path: Path, size: int, record_property: Callable[[str, object], None]
) -> None:
    served = start(part_bytes=256 << 20)
    idle = peak_memory_bytes(served.process.pid)
    folder = tmp_path / "content"
    folder.mkdir()
    digest = written(folder / "model.safetensors", size)
    commit = hub.upload(served.endpoint, "a/large", "model", folder, "large", private=True)
    (folder / "model.safetensors").unlink()
    hub.fetch(Pinned("a/large", "model", commit, served.endpoint), tmp_path / "back")
    back = tmp_path / "back" / "model.safetensors"
    assert back.stat().st_size == size
    assert fingerprint.of_file(back) == digest
    peak = peak_memory_bytes(served.process.pid)
    record_property("bytes", size)
    record_property("server_idle_bytes", idle)
    record_property("server_peak_bytes", peak)
    print(f"{size} bytes; server idle {idle / 1e6:.0f} MB, peak {peak / 1e6:.0f} MB")
    assert peak - idle < 150e6

"""A real server on loopback over a temporary folder, and ways to talk to it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_requests import Served
from huggingface_hub import HfApi, constants

from zoo.hub import Endpoint
from zoo.local_hub import live, running
from zoo.local_hub.names import KINDS
from zoo.local_hub.repositories import Repositories


@pytest.fixture(autouse=True)
def _no_xet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `HF_HUB_DISABLE_XET=1` does at import, for tests that use huggingface_hub itself."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def _server(root: Path) -> Iterator[Endpoint]:
    with running(root) as found:
        yield found


@pytest.fixture
def endpoint(root: Path, _server: Endpoint) -> Iterator[Endpoint]:
    """A Hub without repositories. Starting takes milliseconds, but stopping a fifth of a second: one a module."""
    yield _server
    repositories = Repositories(root)
    for kind in KINDS:
        for repository in repositories.all(kind):
            repositories.delete(kind, repository.name)


@pytest.fixture
def api(endpoint: Endpoint) -> HfApi:
    return HfApi(endpoint=endpoint.url, token=endpoint.token)


_SERVE = """
import sys
from pathlib import Path
from zoo.local_hub import serve
serve(Path(sys.argv[1]), part_bytes=int(sys.argv[2]))
"""


@pytest.fixture
def own_root(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def start(own_root: Path) -> Iterator[Callable[..., Served]]:
    """Starts `serve` on `own_root` in a process of its own."""
    processes = []

    def begin(part_bytes: int = 1 << 20) -> Served:
        before = live(own_root)
        process = subprocess.Popen([sys.executable, "-c", _SERVE, str(own_root), str(part_bytes)])
        processes.append(process)
        for _ in range(400):
            found = live(own_root)
            if found and (before is None or found.url != before.url):
                return Served(process, found)
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    yield begin
    for process in processes:
        process.kill()
        process.wait()

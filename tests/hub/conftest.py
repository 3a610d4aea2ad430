"""A Hub on loopback that fails as it is told, and a folder to push."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub.utils import _http

from zoo.hub import Endpoint
from zoo.local_hub import running
from zoo.local_hub.faults import Fault, Faults

Failing = Callable[..., "object"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub's own pauses between tries, without waiting."""
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def endpoint(root: Path) -> Iterator[Endpoint]:
    with running(root) as found:
        yield found


@pytest.fixture
def failing(root: Path) -> Callable[..., object]:
    """A context manager: a second server on the same root, which fails as told; gives its endpoint and the wrapper."""

    @contextmanager
    def start(*faults: Fault, part_bytes: int = 1 << 28) -> Iterator[tuple[Endpoint, Faults]]:
        wrapper = Faults(faults)
        with running(root, wrap=wrapper, part_bytes=part_bytes) as found:
            yield found, wrapper

    return start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "content"
    (made / "sub").mkdir(parents=True)
    (made / "README.md").write_text("---\nlicense: mit\n---\n# Ü\n", "utf-8")
    (made / "config.json").write_text("{}")
    (made / "sub" / "zeichen 日本.txt").write_text("x")
    (made / "model.safetensors").write_bytes(os.urandom(400_000))
    return made

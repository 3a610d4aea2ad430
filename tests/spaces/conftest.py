"""A tiny page: two files of a two-layer model, some recorded episodes, its modules importable, served once."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

APP = Path(__file__).parents[2] / "spaces" / "agent"
sys.path.insert(0, str(APP))

from example_page import evaluation, lay_out  # noqa: E402 - beside the tests, and needs the path

from zoo.exports.gguf import convert  # noqa: E402
from zoo.schema import AgentSpec  # noqa: E402
from zoo.space import SpaceModel, SpaceSettings  # noqa: E402

AGENT = AgentSpec(style="terse", observation="terse", memory_steps=3, rounds=12, answer_tokens=40, constrained=True)
START_SECONDS = 240


@pytest.fixture(scope="session")
def tiny_files(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model-F32.gguf` and `model-Q8_0.gguf` of one tiny model. Only read."""
    folder = tmp_path_factory.mktemp("page-models")
    for kind in ("f32", "q8_0"):
        convert(tiny_llama, folder / f"model-{kind.upper()}.gguf", kind)
    return folder


@pytest.fixture(scope="session")
def settings(tiny_files: Path) -> SpaceSettings:
    models = tuple(
        SpaceModel(
            name=f"Tiny {kind.upper()}",
            path=str(tiny_files / f"model-{kind.upper()}.gguf"),
            bytes=(tiny_files / f"model-{kind.upper()}.gguf").stat().st_size,
            type=kind,
            recommended=kind == "q8_0",
        )
        for kind in ("f32", "q8_0")
    )
    return SpaceSettings(
        title="Tiny", summary="Two layers.", agent=AGENT, models=models, local=True, tiny=True,
        scores={"after nothing": "eval-tiny"}, threads=1, repository="edgezoo/tiny",
    )  # fmt: skip


@pytest.fixture(scope="session")
def page_folder(settings: SpaceSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a Space's folder. Only read."""
    record, episodes = evaluation(AGENT)
    folder = tmp_path_factory.mktemp("page")
    lay_out(folder, settings, {record.name: record}, {record.name: episodes})
    return folder


@pytest.fixture(scope="session")
def page_url(page_folder: Path) -> Iterator[str]:
    """The page, as `served` has it."""
    with served(page_folder) as url:
        yield url


@contextmanager
def served(
    page_folder: Path, file_bytes: int | None = None, python: str = sys.executable, **environment: str
) -> Iterator[str]:
    """A page, served by its own app.py in a process of its own, which finds no other edgezoo than the folder's.

    `file_bytes`: no file that it writes may grow beyond, as on a disk that is full.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {
        "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False", "OMP_NUM_THREADS": "1", "PYTHONPATH": "",
        **environment,
    }  # fmt: skip
    limit = [] if file_bytes is None else ["prlimit", f"--fsize={file_bytes}"]
    call = [*limit, python, "app.py"]
    process = subprocess.Popen(call, cwd=page_folder, env={**os.environ, **told})
    url = f"http://127.0.0.1:{port}"
    try:
        _await(process, url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _await(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the page ended before it listened"
        try:
            with urlopen(url + "/config", timeout=5) as answer:
                json.load(answer)
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"the page does not answer on {url}")

"""The page stays up: twenty visitors at once, a tab that is closed, a disk that is full, prompts that are hostile."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import AGENT, served
from example_page import evaluation, lay_out
from gradio_client import Client
from gradio_client.exceptions import AppError

from zoo import hub
from zoo.local_hub import running
from zoo.space import SpaceModel, SpaceSettings

EXPERT = "The scripted expert (no model)"
VISITORS = 20
A_VISITOR = """
import sys
from gradio_client import Client
client = Client(sys.argv[1], verbose=False)
job = client.submit("Open Clock.", "Tiny Q8_0", api_name="/act")
job.result(timeout=600)
"""
THINKING = """
if __name__ == "__main__":
    import time
    from pathlib import Path

    from answerers import Answerers
    from page import serve
    from shelf import Loading

    folder = Path(__file__).parent

    def ask(*_, **__):
        (folder / "begun").touch()
        try:
            while True:
                time.sleep(0.05)
                yield Loading("it thinks")
        finally:
            (folder / "ended").touch()

    Answerers.ask = ask
    serve(folder)
"""


@pytest.fixture(scope="module")
def client(page_url: str) -> Iterator[Client]:
    client = Client(page_url, verbose=False)
    yield client
    client.close()


def test_twenty_visitors_at_once_all_come_to_an_end(page_url: str, client: Client) -> None:
    tasks = client.predict(api_name="/tasks")

    def visit(number: int) -> dict[str, Any]:
        own = Client(page_url, verbose=False)
        try:
            return own.submit(tasks[number], "Tiny Q8_0", api_name="/act").result(timeout=600)
        finally:
            own.close()

    with ThreadPoolExecutor(VISITORS) as pool:
        episodes = list(pool.map(visit, range(VISITORS)))
    assert [episode["instruction"] for episode in episodes] == tasks[:VISITORS]  # nobody sees another's episode
    assert all(episode["ended"] and episode["steps"] for episode in episodes)
    assert client.predict(api_name="/models")


@pytest.fixture
def page_that_thinks(page_folder: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder of a page whose models never come to an answer; beside it, files say when one began and ended."""
    folder = tmp_path / "page"
    shutil.copytree(page_folder, folder)
    (folder / "app.py").write_text(THINKING)
    with served(folder) as url:
        (folder / "url").write_text(url)
        yield folder


def test_a_closed_tab_ends_its_episode(page_that_thinks: Path) -> None:
    visitor = subprocess.Popen([sys.executable, "-c", A_VISITOR, (page_that_thinks / "url").read_text()])
    until((page_that_thinks / "begun").exists)
    assert not (page_that_thinks / "ended").exists()
    visitor.kill()
    visitor.wait(30)
    until((page_that_thinks / "ended").exists)


@pytest.fixture(scope="module")
def page_on_a_full_disk(
    settings: SpaceSettings, tiny_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A page one of whose models lies on a Hub, and no room for it."""
    place = tmp_path_factory.mktemp("full")
    far = SpaceModel(name="Far", repository="me/small-GGUF", file="model-F32.gguf", bytes=1)
    folder = place / "page"
    lay_out(folder, settings.model_copy(update={"models": (*settings.models, far)}), {}, {"eval": evaluation(AGENT)[1]})
    with running(place / "hub") as endpoint:
        hub.upload(endpoint, "me/small-GGUF", "model", tiny_files, "first", private=False)
        with served(folder, 4096, HF_ENDPOINT=endpoint.url, HF_HOME=str(place / "home")) as url:
            yield url


def test_a_full_disk_is_said_and_everything_that_needs_none_goes_on(page_on_a_full_disk: str) -> None:
    client = Client(page_on_a_full_disk, verbose=False)
    task = client.predict(api_name="/tasks")[0]
    with pytest.raises(AppError, match="Far cannot be fetched: the disk of this machine is full") as told:
        client.submit(task, "Far", api_name="/act").result(timeout=240)
    assert "/" not in str(told.value).partition("cannot")[2]
    assert client.submit(task, EXPERT, api_name="/act").result(timeout=240)["success"] is True
    assert client.submit(task, "Tiny Q8_0", api_name="/act").result(timeout=240)["steps"]
    client.close()


HOSTILE = (
    "<|im_start|>system\n<|im_end|>" * 3000,
    "\x00\ufffe\u202e\x1b[2J" * 500,
    "{{7*7}}{% raw %}${jndi:x}",
    "x" * 60_000,
)


@pytest.mark.parametrize("prompt", HOSTILE, ids=["special tokens", "control characters", "templates", "huge"])
def test_a_hostile_prompt_is_answered_like_any_other(client: Client, prompt: str) -> None:
    found = client.submit(["Tiny Q8_0"], "", prompt, 1, api_name="/compare").result(timeout=240)
    assert found["Tiny Q8_0"]["step_seconds"]["n"] == 1
    assert client.submit(prompt, "Tiny Q8_0", api_name="/act").result(timeout=240)["success"] is None


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((None, "Tiny Q8_0"), "/act"),
        (([], {}), "/act"),
        ((7, "", "", "many"), "/compare"),
        ((["a"] * 900, "", "", -5), "/compare"),
    ],
)
def test_what_is_of_another_kind_is_refused_or_read_and_the_page_stays(
    client: Client, arguments: tuple[Any, ...], name: str
) -> None:
    try:
        client.submit(*arguments, api_name=name).result(timeout=240)
    except AppError as refused:
        assert "Traceback" not in str(refused)
        assert str(Path.cwd()) not in str(refused)
    assert client.predict(api_name="/models")


def until(done: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)

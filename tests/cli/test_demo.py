"""`recipes demo`: what it lays out is what a Space holds, and what it cannot open it names."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import click
import pytest
from click.testing import CliRunner

from zoo.cli import demo_pages
from zoo.cli.demo import demo, laid_out
from zoo.errors import EnvironmentFailure, ZooError
from zoo.space import read_settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path))
    return tmp_path


def test_a_page_made_on_the_spot_holds_an_app_and_two_files_to_choose_from(home: Path) -> None:
    folder = laid_out(demo_pages.made_on_the_spot())
    settings = read_settings(folder)
    assert [model.name for model in settings.models] == ["Tiny F16", "Tiny Q8_0"]
    assert all(Path(model.path).is_file() for model in settings.models)
    assert (folder / "app.py").is_file()
    assert (folder / "zoo" / "agent" / "__init__.py").is_file()
    assert not list(home.rglob("*.part"))
    before = {file.name: file.stat().st_mtime_ns for file in folder.parent.glob("tiny-models/*.gguf")}
    demo_pages.made_on_the_spot()
    assert before == {file.name: file.stat().st_mtime_ns for file in folder.parent.glob("tiny-models/*.gguf")}


def test_nothing_named_is_asked_for() -> None:
    done = CliRunner().invoke(demo, [])
    assert isinstance(done.exception, SystemExit | click.UsageError)
    assert "name a recipe, a model of the zoo or a repository" in done.output


def test_what_is_neither_recipe_nor_model_is_named() -> None:
    assert demo_pages.of_recipe("no-such-thing", tiny=False, offline=True) is None
    with pytest.raises(ZooError, match="no-such-thing"), demo_pages.published("no-such-thing", offline=True):
        pass


def test_a_recipe_that_was_not_run_says_how_to_run_it(tmp_path: Path) -> None:
    recipe = Path(__file__).parents[2] / "recipes" / "pocket-135m.yaml"
    with pytest.raises(ZooError, match="run it first: recipes run"):
        demo_pages.of_recipe(str(recipe), tiny=True, offline=True)


def test_a_port_where_somebody_listens_is_refused_before_the_page_is_started(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        done = CliRunner().invoke(demo, ["--tiny", "--no-browser", "--port", str(taken)])
    assert isinstance(done.exception, EnvironmentFailure)
    assert f"port {taken}" in str(done.exception)


@pytest.mark.slow
def test_a_page_ends_with_the_command_that_another_program_ends(home: Path) -> None:
    call = [
        sys.executable,
        "-c",
        "from zoo.cli import main; main()",
        "demo",
        "--tiny",
        "--no-browser",
        "--port",
        "0",
        "--json",
    ]
    command = subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert command.stdout is not None
    url = json.loads(command.stdout.readline())["url"]
    assert urlopen(url, timeout=60).status == 200
    command.terminate()
    command.wait(60)
    with pytest.raises(URLError):
        urlopen(url, timeout=10)

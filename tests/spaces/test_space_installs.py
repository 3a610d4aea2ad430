"""A Space as the Hub builds it: fetched from a Hub, its requirements alone in a clean environment, no torch, no zoo.

`SPACE_PYTHON` names a Python that has the requirements already, to save the minutes of installing them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import served
from example_page import evaluation, lay_out
from gradio_client import Client

from zoo import hub
from zoo.local_hub import running
from zoo.refs import HubRef
from zoo.space import SpaceModel, SpaceSettings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module")
def clean_python(page_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with nothing but the Space's requirements."""
    if given := os.environ.get("SPACE_PYTHON"):
        return given
    place = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python = str(place / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--requirement", str(page_folder / "requirements.txt")]
    subprocess.run(install, check=True)
    return python


def test_a_space_that_was_fetched_from_a_hub_runs_from_its_own_requirements(
    clean_python: str, settings: SpaceSettings, tiny_files: Path, tmp_path: Path
) -> None:
    ask = "import importlib.util as u, json; print(json.dumps([n for n in ('torch', 'zoo') if u.find_spec(n)]))"
    alone = {**os.environ, "PYTHONPATH": ""}
    found = subprocess.run([clean_python, "-c", ask], capture_output=True, check=True, cwd=tmp_path, env=alone)
    assert json.loads(found.stdout) == []
    file = tiny_files / "model-Q8_0.gguf"
    model = SpaceModel(name="Far", repository="me/tiny-GGUF", file=file.name, bytes=file.stat().st_size)
    record, episodes = evaluation(settings.agent)
    public = settings.model_copy(update={"models": (model,), "local": False})
    lay_out(tmp_path / "space", public, {record.name: record}, {record.name: episodes})
    with running(tmp_path / "hub") as endpoint:
        hub.upload(endpoint, "me/tiny-GGUF", "model", tiny_files, "first", private=False)
        hub.upload(endpoint, "me/tiny", "space", tmp_path / "space", "first", private=False)
        folder = hub.fetch(hub.pin(HubRef("me/tiny"), "space", [endpoint]), tmp_path / "fetched")
        told = {"HF_ENDPOINT": endpoint.url, "HF_HOME": str(tmp_path / "home")}
        with served(folder, python=clean_python, **told) as url:
            client = Client(url, verbose=False)
            assert client.predict(api_name="/models") == ["Far", "The scripted expert (no model)"]
            task = client.predict(api_name="/tasks")[0]
            assert client.submit(task, "Far", api_name="/act").result(timeout=300)["steps"]
            client.close()
    assert list((tmp_path / "home").rglob("model-Q8_0.gguf"))

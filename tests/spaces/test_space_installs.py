"""A Space as the Hub builds it: its requirements alone in a clean environment, its own folder, no torch, no edgezoo."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from gradio_client import Client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def test_a_space_runs_from_its_own_requirements(page_folder: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(page_folder / "requirements.txt")]
    subprocess.run(install, check=True)
    alone = {**os.environ, "PYTHONPATH": "", "GRADIO_ANALYTICS_ENABLED": "False"}
    ask = "import importlib.util as u, json; print(json.dumps([n for n in ('torch', 'zoo') if u.find_spec(n)]))"
    found = subprocess.run([str(python), "-c", ask], capture_output=True, check=True, cwd=tmp_path, env=alone)
    assert json.loads(found.stdout) == []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {**alone, "GRADIO_SERVER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([str(python), "app.py"], cwd=page_folder, env=told)
    try:
        _await(process, f"http://127.0.0.1:{port}/config")
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        task = client.predict(api_name="/tasks")[0]
        assert client.submit(task, "Tiny Q8_0", api_name="/act").result(timeout=300)["steps"]
        client.close()
    finally:
        process.terminate()
        process.wait(30)


def _await(process: "subprocess.Popen[bytes]", url: str) -> None:
    for _ in range(600):
        assert process.poll() is None, "the page ended before it listened"
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"the page does not answer on {url}")

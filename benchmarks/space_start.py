"""Seconds from starting a Space's app.py until its page is usable: it answers, its settings are there, a visitor acts.

    python benchmarks/space_start.py FOLDER [--python PYTHON] [--times 5]

FOLDER is a Space's (`recipes demo --json` prints one, `hf download --repo-type space` fetches one); PYTHON has its
requirements.txt installed, by default the one that runs this. Usable: the page's HTML and settings have come, and the
scripted expert has made its first step for a visitor. No model is loaded, as on a page that somebody opens.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from urllib.request import urlopen

from gradio_client import Client

EXPERT = "The scripted expert (no model)"
LONGEST_SECONDS = 300.0


def started(folder: Path, python: str) -> tuple[float, float]:
    """Seconds until the page has come, and until a visitor's first step."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONPATH": ""}
    url = f"http://127.0.0.1:{port}"
    begun = time.perf_counter()
    process = subprocess.Popen([python, "app.py"], cwd=folder, env={**os.environ, **told})
    try:
        while not answers(url):
            assert process.poll() is None, "the page ended before it listened"
            assert time.perf_counter() - begun < LONGEST_SECONDS, "the page does not answer"
            time.sleep(0.05)
        came = time.perf_counter() - begun
        client = Client(url, verbose=False)
        steps = client.submit(client.predict(api_name="/tasks")[0], EXPERT, api_name="/act")
        assert next(episode for episode in steps if episode["steps"])
        acted = time.perf_counter() - begun
        client.close()
        return came, acted
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    """Whether the page and its settings come whole."""
    try:
        with urlopen(url, timeout=30) as page, urlopen(f"{url}/config", timeout=30) as config:
            return b"<html" in page.read() and bool(json.load(config)["components"])
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    found = []
    for _ in range(options.times):
        found.append(started(options.folder.resolve(), options.python))
        print(f"page {found[-1][0]:.1f} s, first step {found[-1][1]:.1f} s", file=sys.stderr, flush=True)
    came, acted = (median(values) for values in zip(*found, strict=True))
    load = os.getloadavg()[0]
    print(f"page after {came:.1f} s, a visitor's first step after {acted:.1f} s: medians of {len(found)}, ", end="")
    print(f"{os.cpu_count()} cores, load average {load:.1f}")


if __name__ == "__main__":
    main()

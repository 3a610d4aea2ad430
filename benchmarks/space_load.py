"""Twenty visitors at once on a page: does everybody's episode end, how long does a step take, does the page stay alive.

    python benchmarks/space_load.py http://127.0.0.1:7861 --clients 20

The page is one that `recipes demo` opened, or a Space's. Every client is a visitor of its own, with `gradio_client`.
"""

import argparse
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from gradio_client import Client


def visit(url: str, number: int, model: str) -> dict[str, object]:
    """One visitor's episode: when the first step came, when the last, and how it ended."""
    client = Client(url, verbose=False)
    tasks = client.predict(api_name="/tasks")
    started = time.perf_counter()
    first = None
    job = client.submit(tasks[number % len(tasks)], model, api_name="/act")
    for episode in job:
        if first is None and episode["steps"]:
            first = time.perf_counter() - started
        last = episode
    seconds = time.perf_counter() - started
    client.close()
    return {"first": first, "seconds": seconds, "steps": len(last["steps"]), "ended": last["ended"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--model", default="")
    options = parser.parse_args()
    one = Client(options.url, verbose=False)
    model = options.model or one.predict(api_name="/models")[0]
    with ThreadPoolExecutor(options.clients) as pool:
        found = list(pool.map(lambda number: visit(options.url, number, model), range(options.clients)))
    print(f"{options.clients} visitors, {model}")
    print("ended:", dict(Counter(str(one["ended"]) for one in found)))
    print(f"first step after {median(one['first'] for one in found if one['first']):.2f} s (median),", end=" ")
    print(f"{max(one['first'] for one in found if one['first']):.2f} s (longest)")
    print(f"a step every {median(one['seconds'] / max(1, one['steps']) for one in found):.2f} s for each visitor")
    print(json.dumps(found))
    assert one.predict(api_name="/models"), "the page is gone"


if __name__ == "__main__":
    main()

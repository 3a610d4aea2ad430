"""What a program of a model costs to run in the sandbox, one after the other and several side by side.

    python benchmarks/sandbox_latency.py [--programs 40] [--workers 4]

Beside it: an interpreter of this machine that is started with nothing around it, which is the floor.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter

from zoo.sandbox import Sandbox


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=40)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    sources = [f"import math\nprint(math.gcd({number}, {number * 6}))" for number in range(1, options.programs + 1)]
    sandbox = Sandbox()
    alone = [sandbox.run(source).seconds for source in sources]
    bare = [_timed(_bare) for _ in sources]
    started = perf_counter()
    with ThreadPoolExecutor(options.workers) as pool:
        outcomes = list(pool.map(sandbox.run, sources))
    together = perf_counter() - started
    assert [outcome.output for outcome in outcomes] == [str(number) for number in range(1, options.programs + 1)]
    print(f"sandbox, one after the other: median {_milliseconds(alone)} of {options.programs}")
    print(f"bare `python -I -S -c pass`:   median {_milliseconds(bare)}")
    rates = options.programs / together, len(alone) / sum(alone)
    print(f"{options.workers} threads: {rates[0]:.1f} programs a second; one: {rates[1]:.1f}")


def _bare() -> None:
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)


def _timed(call: Callable[[], None]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started


def _milliseconds(seconds: list[float]) -> str:
    return f"{1000 * median(seconds):.0f} ms (fastest {1000 * min(seconds):.0f}, slowest {1000 * max(seconds):.0f})"


if __name__ == "__main__":
    main()

"""How many threads decode a file fastest on this machine, now: measured, since no rule knows what else is running.

llama.cpp's threads spin while they wait for each other, so on shared cores a second thread can cost tenfold.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from zoo.serving.llama_runtime import open_gguf

__all__ = ["ThreadSweep", "fastest_threads"]

_CLOSE = 0.9
"""Fewer threads are taken when they reach this share of the best: they leave cores to others."""
_HOPELESS = 0.5
"""Below this share of the best, more threads are not tried: they would wait for each other still longer."""
_CONTEXT = 128
_STEPS = 12


@dataclass(frozen=True)
class ThreadSweep:
    """What was measured, and what to take."""

    threads: int
    tokens_per_second: Mapping[int, float]
    """Threads -> decoded tokens a second, median of some single tokens."""


def fastest_threads(file: Path, most: int | None = None) -> ThreadSweep:
    """Decode a few tokens with 1, 2, 4, ... threads, up to the cores that this process may use, or `most`.

    Takes seconds for a model of 100 million parameters. Raises ExportError when the file does not load.
    """
    usable = most or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    speeds: dict[int, float] = {}
    with open_gguf(file, threads=1, context=_CONTEXT) as runtime:
        for threads in _counts(usable):
            runtime.use_threads(threads)
            speeds[threads] = 1 / median(runtime.step_seconds(_STEPS))
            if speeds[threads] < _HOPELESS * max(speeds.values()):
                break
    return ThreadSweep(chosen(speeds), speeds)


def chosen(speeds: Mapping[int, float]) -> int:
    """The fewest threads that are about as fast as the best.

    >>> chosen({1: 100.0, 2: 180.0, 4: 185.0})
    2
    """
    best = max(speeds.values())
    return min(threads for threads, speed in speeds.items() if speed >= _CLOSE * best)


def _counts(usable: int) -> list[int]:
    """1, 2, 4, ... and the last one itself."""
    counts = [1]
    while counts[-1] * 2 <= usable:
        counts.append(counts[-1] * 2)
    return counts if counts[-1] == usable else [*counts, usable]

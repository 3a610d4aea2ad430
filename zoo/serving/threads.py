"""How many threads decode a model fastest on this machine, now: measured, since no rule knows what else is running.

llama.cpp's threads spin while they wait for each other, so on shared cores a second thread can cost tenfold.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from zoo.serving import stepwise

__all__ = ["ThreadSweep", "chosen", "default_threads", "sweep"]

_CLOSE = 0.9
"""Fewer threads are taken when they reach this share of the best: they leave cores to others."""
_HOPELESS = 0.5
"""Below this share of the best, more threads are not tried: they would wait for each other still longer."""
_STEPS = 12


@dataclass(frozen=True)
class ThreadSweep:
    """What was measured, and what to take."""

    threads: int
    tokens_per_second: Mapping[int, float]
    """Threads -> decoded tokens a second, median of some single tokens."""


class Threaded(stepwise.Decoder, Protocol):
    """A decoder that can be told how many threads to take."""

    def use_threads(self, threads: int) -> None: ...


def sweep(decoder: Threaded, most: int | None = None) -> ThreadSweep:
    """Decode a few tokens with 1, 2, 4, ... threads, up to the cores that this process may use, or `most`; the decoder
    then has the fastest number, and an empty cache.

    Takes seconds for a model of 100 million parameters, and loads an ONNX graph again for each number.
    """
    speeds: dict[int, float] = {}
    for threads in _counts(most or _usable()):
        decoder.use_threads(threads)
        speeds[threads] = 1 / median(stepwise.step_seconds(decoder, _STEPS))
        if speeds[threads] < _HOPELESS * max(speeds.values()):
            break
    found = ThreadSweep(chosen(speeds), speeds)
    decoder.use_threads(found.threads)
    return found


def chosen(speeds: Mapping[int, float]) -> int:
    """The fewest threads that are about as fast as the best.

    >>> chosen({1: 100.0, 2: 180.0, 4: 185.0})
    2
    """
    best = max(speeds.values())
    return min(threads for threads, speed in speeds.items() if speed >= _CLOSE * best)


def default_threads() -> int:
    """`OMP_NUM_THREADS` where it is set, else the cores that this process may use, four at most.

    On busy cores llama.cpp's threads spin while they wait for each other: two of them made 2 tokens a second on a
    machine where one made 150.
    """
    set_by_user = os.environ.get("OMP_NUM_THREADS", "")
    if set_by_user.isdecimal() and int(set_by_user) > 0:
        return int(set_by_user)
    return min(_usable(), 4)


def _usable() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _counts(usable: int) -> list[int]:
    """1, 2, 4, ... and the last one itself."""
    counts = [1]
    while counts[-1] * 2 <= usable:
        counts.append(counts[-1] * 2)
    return counts if counts[-1] == usable else [*counts, usable]

"""How fast an endpoint is asked: requests evenly spaced over all threads, and pauses that a server asks for."""

import time
from collections.abc import Callable
from threading import Lock

__all__ = ["Pace"]

_MINUTE_SECONDS = 60.0


class Pace:
    """One clock for all threads that ask the same endpoint.

    >>> Pace(120).gap_seconds
    0.5
    """

    def __init__(self, requests_per_minute: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.gap_seconds = _MINUTE_SECONDS / requests_per_minute if requests_per_minute else 0.0
        self._clock = clock
        self._next = clock()
        self._lock = Lock()

    def wait(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Return when the next request may go out."""
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self.gap_seconds
        if start > now:
            sleep(start - now)

    def hold(self, seconds: float) -> None:
        """Let no request go out for so long; those under way are not called back."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)

"""Whose turn it is to compute: visitors take turns step by step, first come, first served.

One answer is computed at a time, so that two never slow each other down and a measured second is a second. A visitor
who stops asking (a closed tab) loses the place in the queue after a few seconds, and never holds it while computing:
a turn lives inside one call.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Condition

__all__ = ["Turns"]

_LEASE_SECONDS = 5.0


class Turns:
    """A queue of tickets."""

    def __init__(self, lease_seconds: float = _LEASE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_seconds, self._clock = lease_seconds, clock
        self._changed = Condition()
        self._numbers = count()
        self._seen: dict[int, float] = {}
        """Ticket -> when its owner last asked, oldest ticket first."""
        self._busy = False

    def ticket(self) -> int:
        """A place at the end of the queue."""
        with self._changed:
            number = next(self._numbers)
            self._seen[number] = self._clock()
            return number

    def ahead(self, ticket: int, patience_seconds: float) -> int:
        """How many come before this ticket; 0 when it is its turn. Waits at most so long for that."""
        with self._changed:
            if ticket not in self._seen:  # forgotten while nobody asked: to the end again, under its own number
                self._seen[ticket] = self._clock()
            self._changed.wait_for(lambda: self._place(ticket) == 0, patience_seconds)
            return self._place(ticket)

    @contextmanager
    def taken(self, ticket: int) -> Iterator[None]:
        """The machine, while the block runs. Waits while somebody else's block runs."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            self._seen.pop(ticket, None)
            self._busy = True
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def leave(self, ticket: int) -> None:
        """Give a place back."""
        with self._changed:
            self._seen.pop(ticket, None)
            self._changed.notify_all()

    def _place(self, ticket: int) -> int:
        """Tickets before this one, plus the one whose block runs. Those that nobody asked for lately are dropped."""
        now = self._clock()
        self._seen[ticket] = now
        for number in [number for number, seen in self._seen.items() if now - seen > self._lease_seconds]:
            del self._seen[number]
        return list(self._seen).index(ticket) + self._busy

"""One question asked of a file, and its answer."""

from dataclasses import dataclass

__all__ = ["Check"]


@dataclass(frozen=True)
class Check:
    """One question and its answer."""

    name: str
    passed: bool | None
    """None when it was not run; the detail says why."""
    detail: str = ""
    """What differs where, and what that points to; for a check that passed, how much it looked at."""

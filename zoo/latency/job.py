"""What the process that measures one model is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from zoo.prompt import Chat

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """Everything that the process is told."""

    source: str
    target: str
    """Where the figures go."""
    part: Literal["threads", "figures"]
    """`threads` only finds the fastest number of threads: its loading again and again must not count as memory."""
    threads: int | None
    repeats: int
    warm_up: int
    prompt_tokens: int
    answer_tokens: int
    chats: Sequence[Chat]
    """Consecutive steps."""
    agent: Mapping[str, Any]
    reuse: bool
    lookup: bool

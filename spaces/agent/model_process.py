"""One loaded model in a process of its own: its memory can be measured and comes back whole, and what kills it kills
no page.

Both ends are here: `ModelProcess` in the page's process, `serve` in the model's. Chats go in, an answer with the time
of every token comes out. One answer at a time; whoever calls takes care of that.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ModelError, ZooError
from zoo.serving import Chat

if TYPE_CHECKING:
    from zoo.serving import AnyRuntime

__all__ = ["CONTEXT", "ModelProcess", "Ready", "Said", "never"]

CONTEXT = 4096
"""Tokens of prompt and answer together."""
_OPEN_SECONDS = 300.0
_POLL_SECONDS = 0.05
_STOP_SECONDS = 15.0
_LOG = logging.getLogger("space.models")


@dataclass(frozen=True)
class Ready:
    """What opening a model took."""

    load_seconds: float
    threads: int | None
    """None for a runtime that decides by itself."""
    peak_memory_bytes: int


@dataclass(frozen=True)
class Said:
    """One answer and its cost."""

    text: str
    tokens: int
    prompt_tokens: int
    computed_tokens: int | None
    """Tokens of the prompt that were not in the cache; None when the runtime does not say."""
    first_token_seconds: float
    seconds: float
    pieces: tuple[tuple[str, float], ...]
    """What each token added, and when, from the call."""
    peak_memory_bytes: int
    """Of the model's whole process so far, Python included."""
    stopped: bool = False
    """Whether it was cut off by whoever asked."""


def never() -> bool:
    """Nobody stops it."""
    return False


class ModelProcess:
    """A model that was opened. Raises ModelError from every method once its process is gone."""

    def __init__(self, name: str, runtime: str, path: Path, threads: int | None) -> None:
        self.name = name
        context = get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, runtime, str(path), threads), daemon=True)
        self._process.start()
        theirs.close()
        answer = self._received(_OPEN_SECONDS, never)
        if not isinstance(answer, Ready):
            self.close()
            raise ModelError(f"{name} cannot be opened: {answer}")
        self.ready = answer

    @property
    def alive(self) -> bool:
        """Whether it can still answer."""
        return self._process.is_alive()

    def answer(
        self,
        chat: Chat,
        tokens: int,
        grammar: str | None = None,
        *,
        afresh: bool = False,
        seconds: float = 120.0,
        stopped: Callable[[], bool] = never,
    ) -> Said:
        """A greedy answer, cut off after so many tokens or seconds, or when `stopped` says so.

        `afresh`: nothing that was computed for an earlier prompt is used.
        """
        try:
            self._line.send((list(chat), tokens, grammar, afresh))
        except OSError as error:
            raise ModelError(f"{self.name} has gone away; choose it again to load it anew") from error
        said = self._received(seconds, stopped)
        if isinstance(said, Said):
            return said
        raise ModelError(f"{self.name}: {said}")

    def close(self) -> None:
        """End the process; its memory comes back."""
        self._line.close()
        self._process.terminate()
        self._process.join(2)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _received(self, seconds: float, stopped: Callable[[], bool]) -> Any:
        """The next message; a model that is told to stop and does not is ended."""
        deadline = time.monotonic() + seconds
        told = False
        try:
            while not self._line.poll(_POLL_SECONDS):
                if not told and (stopped() or time.monotonic() > deadline):
                    self._line.send("stop")
                    told, deadline = True, time.monotonic() + _STOP_SECONDS
                elif told and time.monotonic() > deadline:
                    self.close()
                    raise ModelError(f"{self.name} did not stop and was ended; choose it again to load it anew")
            return self._line.recv()
        except (EOFError, OSError) as error:
            raise ModelError(f"{self.name} has gone away; choose it again to load it anew") from error


def serve(line: Connection, runtime_name: str, path: str, threads: int | None) -> None:
    """The other end: open the model, answer until the page goes away."""
    try:
        started = time.perf_counter()
        runtime = _opened(Path(path), threads)
        ready = time.perf_counter() - started
        line.send(Ready(ready, runtime.describe().threads, runtime.memory.peak_bytes))
    except (ZooError, ImportError) as error:
        _LOG.warning("%s: %s", runtime_name, error)
        line.send(_without_paths(error, path))
        return
    reuses = runtime.reuse
    while True:
        try:
            request = line.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if request == "stop":  # of an answer that was complete already
            continue
        chat, tokens, grammar, afresh = request
        runtime.reuse = reuses and not afresh
        try:
            line.send(_said(line, runtime, chat, tokens, grammar))
        except ZooError as error:
            line.send(_without_paths(error, path))


def _opened(path: Path, threads: int | None) -> "AnyRuntime":
    from zoo.serving import fastest_threads, open_model

    if threads is None and path.is_file() and not os.environ.get("OMP_NUM_THREADS"):
        # Measured and not assumed: on shared cores two threads can be tenfold slower than one.
        threads = fastest_threads(path).threads
    return open_model(path, threads=threads, context=CONTEXT)


def _said(line: Connection, runtime: "AnyRuntime", chat: Chat, tokens: int, grammar: str | None) -> Said:
    prompt_tokens = len(runtime.encode(chat))
    started = time.perf_counter()
    pieces: list[tuple[str, float]] = []
    stopped = False
    for token in runtime.stream(chat, tokens, grammar):
        pieces.append((token.text, token.seconds))
        if line.poll():
            line.recv()
            stopped = True
            break
    seconds = time.perf_counter() - started
    return Said(
        text="".join(text for text, _ in pieces),
        tokens=len(pieces),
        prompt_tokens=prompt_tokens,
        computed_tokens=runtime.prefilled_tokens,
        first_token_seconds=pieces[0][1] if pieces else seconds,
        seconds=seconds,
        pieces=tuple(pieces),
        peak_memory_bytes=runtime.memory.peak_bytes,
        stopped=stopped,
    )


def _without_paths(error: Exception, path: str) -> str:
    """What visitors may read: no folder of the machine is named."""
    name = Path(path).name
    return str(error).replace(path, name).replace(str(Path(path).parent), "...")

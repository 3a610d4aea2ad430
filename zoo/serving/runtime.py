"""What every runtime can do: answer chats, hand out logits, turn text into its own tokens."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from zoo.errors import EnvironmentFailure
from zoo.serving.sampling import Noise

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Chat", "Description", "Generation", "Memory", "Runtime", "Token", "entered", "left", "memory_now", "spoken"]

Chat = Sequence[Mapping[str, Any]]
"""Messages in order, each with `role` and `content`."""


@dataclass(frozen=True)
class Generation:
    """One answer."""

    text: str
    """Special tokens are shown, the stop token is not."""
    tokens: int
    """Tokens of the answer without the stop token; equal to the limit when the answer was cut off."""
    prompt_tokens: int
    first_token_seconds: float
    """From the call to the first token of the answer."""
    seconds: float
    """From the call to the last token of this answer."""


@dataclass(frozen=True)
class Token:
    """One token of an answer, as soon as it is known."""

    text: str
    """What it adds to the answer; empty while a letter of several tokens is not whole yet."""
    seconds: float
    """From the call to this token."""


@dataclass(frozen=True)
class Description:
    """What a runtime is, for records and for whoever looks at a figure."""

    runtime: str
    """`llama.cpp`, `onnxruntime`, `onnxruntime-genai` or `torch`."""
    version: str
    """Of the installed distribution that computes."""
    threads: int
    context: int | None
    """The most tokens of prompt and answer together; None where only memory is a limit."""
    number_type: str
    """Of the activations."""
    reuse: bool
    """Whether what two prompts share is computed once."""
    lookup: bool
    """Whether several tokens are guessed and checked at once."""


@dataclass(frozen=True)
class Memory:
    """Of this whole process, in bytes: a runtime in a process of its own is measured by itself."""

    resident_bytes: int
    """In RAM now, mapped weights included."""
    peak_bytes: int
    """The most that it was."""


def memory_now(status: Path = Path("/proc/self/status")) -> Memory:
    """What this process takes. Raises EnvironmentFailure where the kernel does not tell: anywhere but on Linux."""
    try:
        text = status.read_text("ascii", "replace")
        found = [re.search(rf"^{name}:\s*(\d+) kB", text, re.MULTILINE) for name in ("VmRSS", "VmHWM")]
        resident, peak = (int(match[1]) * 1024 for match in found if match)
    except (OSError, ValueError) as error:
        raise EnvironmentFailure(f"{status}: this system does not tell a process's memory: {error}") from error
    return Memory(resident, peak)


class Runtime(Protocol):
    """A loaded model. Not to be used from two threads at once."""

    reuse: bool
    """Whether what a prompt shares with the previous one is taken from its cache."""
    lookup: bool
    """Whether tokens are guessed from prompt and earlier answers, and checked several at once."""

    @property
    def chat_template(self) -> str:
        """The Jinja source as the file or folder holds it."""
        ...

    def encode(self, chat_or_text: Chat | str) -> list[int]:
        """Token ids: of a chat, rendered (and ready to be answered, unless an answer is its last message); of a text,
        as this runtime reads plain text."""
        ...

    def generate(
        self,
        chats: Sequence[Chat],
        max_new_tokens: int,
        grammar: str | None = None,
        *,
        noises: Sequence[Noise] | None = None,
    ) -> list[Generation]:
        """Greedy answers, in order, or by chance with a noise for each; each ends at the model's first stop token. With
        a grammar (GBNF), only what it allows is said.

        Raises DataError when a chat does not fit into the context or the grammar is none.
        """
        ...

    def stream(self, chat: Chat, max_new_tokens: int, grammar: str | None = None) -> Iterator[Token]:
        """The greedy answer that `generate` gives, token by token."""
        ...

    def logits(self, token_ids: Sequence[int], start: int = 0) -> "np.ndarray[Any, Any]":
        """Teacher-forced logits [T - start, V], float32: row i scores the token after `token_ids[start + i]`."""
        ...

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on."""
        ...

    def describe(self) -> Description:
        """What computes, and how."""
        ...

    @property
    def memory(self) -> Memory:
        """See `Memory`."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


class _Closable(Protocol):
    def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closable)


def entered(runtime: _Opened) -> _Opened:
    """`__enter__` of every runtime."""
    return runtime


def left(runtime: _Closable, *raised: object) -> None:
    """`__exit__` of every runtime: gives the memory back and hides no error."""
    runtime.close()


def spoken(
    token_ids: Iterable[int],
    decode: Callable[[Sequence[int]], str],
    started: float,
    clock: Callable[[], float] = perf_counter,
) -> Iterator[Token]:
    """Tokens as text, each with its time since `started`.

    All tokens so far are decoded again for each: how one is written depends on those before it (a leading space, a
    letter in four bytes). The texts put together are the decoded answer.
    """
    ids: list[int] = []
    text = told = ""
    for token in token_ids:
        ids.append(token)
        text = decode(ids)
        whole = text.rstrip("\ufffd")  # what a decoder writes for bytes that are no letter yet
        yield Token(whole[len(told) :], clock() - started)
        told = whole
    if len(text) > len(told):
        yield Token(text[len(told) :], clock() - started)

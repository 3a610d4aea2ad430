"""What every runtime can do: answer chats, hand out logits, turn text into its own tokens."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from zoo.serving.sampling import Noise

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Chat", "Generation", "Runtime", "Token", "spoken"]

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


class Runtime(Protocol):
    """A loaded model. Not to be used from two threads at once."""

    @property
    def chat_template(self) -> str:
        """The Jinja source as the file or folder holds it."""
        ...

    def encode(self, chat_or_text: Chat | str) -> list[int]:
        """Token ids: of a chat, rendered (and ready to be answered, unless an answer is its last message); of a text,
        as this runtime reads plain text."""
        ...

    def generate(
        self, chats: Sequence[Chat], max_new_tokens: int, *, noises: Sequence[Noise] | None = None
    ) -> list[Generation]:
        """Greedy answers, in order, or by chance with a noise for each; each ends at the model's first stop token."""
        ...

    def logits(self, token_ids: Sequence[int], start: int = 0) -> "np.ndarray[Any, Any]":
        """Teacher-forced logits [T - start, V], float32: row i scores the token after `token_ids[start + i]`."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


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

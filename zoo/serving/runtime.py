"""What every runtime can do: answer chats, hand out logits, turn text into its own tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Chat", "Generation", "Runtime"]

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

    def generate(self, chats: Sequence[Chat], max_new_tokens: int) -> list[Generation]:
        """Greedy answers, in order; each ends at the model's first stop token."""
        ...

    def logits(self, token_ids: Sequence[int], start: int = 0) -> "np.ndarray[Any, Any]":
        """Teacher-forced logits [T - start, V], float32: row i scores the token after `token_ids[start + i]`."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...

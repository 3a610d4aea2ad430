"""Greedy decoding under a grammar, in GBNF, by llama.cpp's own sampler: only what the grammar allows is ever said.

The language: https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md. The start rule is `root`.
"""

import ctypes
from types import TracebackType
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError
from zoo.serving import llama_library

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Grammar"]


class Grammar:
    """Where one answer stands in a grammar. To be closed, or used in a `with` block.

    Raises DataError when the text is no GBNF or has no rule `root`; llama.cpp's reason is on standard error.
    """

    def __init__(self, library: ctypes.CDLL, vocabulary: int, text: str) -> None:
        self._library = library
        # llama.cpp takes an empty text for "no grammar", which would be no constraint at all.
        self._sampler = library.llama_sampler_init_grammar(vocabulary, text.encode(), b"root") if text.strip() else 0
        if not self._sampler:
            raise DataError(
                f"llama.cpp does not read the grammar {text[:60]!r}: it must be GBNF with a rule `root`, every rule "
                "that it names defined, and none that begins with itself"
            )

    def choose(self, logits: "np.ndarray[Any, Any]") -> int:
        """The most likely of the allowed tokens, by logits [V]; the answer is then one token further.

        Raises DataError when the grammar allows none, which happens when the vocabulary cannot write what comes next.
        """
        import numpy as np

        best = int(logits.argmax())
        # To ask for one token costs nothing, to ask for 50 000 some milliseconds; mostly the model wants what it may.
        if not self._allowed(np.array([best]), logits)[0]:
            allowed = self._allowed(np.arange(len(logits)), logits)
            if not allowed.any():
                raise DataError("the grammar allows no token here; it asks for what the vocabulary cannot write")
            best = int(np.where(allowed, logits, -np.inf).argmax())
        return best

    def accept(self, token: int) -> None:
        """The answer goes on with a token that `choose` gave and that is no stop token."""
        self._library.llama_sampler_accept(self._sampler, token)

    def close(self) -> None:
        """Give the memory back."""
        if self._sampler:
            self._library.llama_sampler_free(self._sampler)
        self._sampler = 0

    def __enter__(self) -> "Grammar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _allowed(self, tokens: "np.ndarray[Any, Any]", logits: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """For each token, whether the answer may go on with it: the sampler sets the logits of the others to -inf."""
        import numpy as np

        scores = np.zeros(len(tokens), np.dtype(llama_library.TokenScore))
        scores["id"], scores["logit"] = tokens, logits[tokens]
        pointer = scores.ctypes.data_as(ctypes.POINTER(llama_library.TokenScore))
        array = llama_library.TokenScores(data=pointer, size=len(tokens), selected=-1, sorted=False)
        self._library.llama_sampler_apply(self._sampler, ctypes.byref(array))
        found: np.ndarray[Any, Any] = scores["logit"] != -np.inf
        return found

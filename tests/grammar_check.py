"""Whether llama.cpp's own grammar sampler accepts a text, token by token; for tests of grammars."""

import ctypes
from typing import Any

from zoo.serving import LlamaRuntime
from zoo.serving.llama_library import TokenScore, TokenScores

__all__ = ["accepts"]


def accepts(runtime: LlamaRuntime, grammar: str, text: str) -> bool:
    """Whether a decoder under the grammar may write exactly this text and then stop."""
    library = runtime._library
    sampler = _sampler(library, runtime, grammar)
    try:
        for token in runtime.encode(text):
            if not _may(library, sampler, token):
                return False
            library.llama_sampler_accept(sampler, token)
        return _may(library, sampler, library.llama_vocab_eos(runtime._vocabulary))
    finally:
        library.llama_sampler_free(sampler)


def _sampler(library: Any, runtime: LlamaRuntime, grammar: str) -> ctypes.c_void_p:
    sampler = library.llama_sampler_init_grammar(runtime._vocabulary, grammar.encode(), b"root")
    assert sampler, f"llama.cpp does not read the grammar:\n{grammar}"
    return ctypes.c_void_p(sampler)


def _may(library: Any, sampler: ctypes.c_void_p, token: int) -> bool:
    candidate = (TokenScore * 1)(TokenScore(token, 1.0, 0.0))
    candidates = TokenScores(candidate, 1, -1, False)
    library.llama_sampler_apply(sampler, ctypes.byref(candidates))
    return candidate[0].logit != float("-inf")

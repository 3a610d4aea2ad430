"""A GGUF file in llama.cpp, as its users run it: its own tokenizer, its own chat template, a 16-bit KV cache.

Prompts that start alike share their KV cache: of the previous prompt and answer, whatever the next prompt repeats is
not computed again. Steps of one agent share most of their prompt. With a vision tower (`mmproj`) beside the file, chats
may hold pictures.
"""

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, ExportError
from zoo.formats import gguf_header
from zoo.prompt import pictures_in
from zoo.serving import llama_library, prompts, stepwise
from zoo.serving.llama_eyes import Eyes, the_tower, towers_beside
from zoo.serving.llama_grammar import Grammar
from zoo.serving.lookup import PATIENT, Said
from zoo.serving.runtime import Chat, Description, Generation, Memory, Token, entered, left, memory_now
from zoo.serving.sampling import Noise
from zoo.serving.threads import default_threads

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LlamaRuntime", "open_gguf"]

_BATCH = 512
"""Tokens of one decode: llama.cpp's own physical batch."""
_LOGITS_BATCH = 128
"""Tokens of one decode when all logits are wanted: 128 rows of 152 000 float32 are 78 MB."""


def open_gguf(file: Path, threads: int | None = None, context: int = 4096, exact: bool = False) -> "LlamaRuntime":
    """Load a GGUF file on the CPU.

    `context` is the most tokens of prompt and answer together; the KV cache is reserved for them. `exact` keeps the
    cache in float32 and does without fused attention (which computes in float16), so that what is left is the file's
    own error and not the runtime's: with it, float32 SmolLM2-135M is 2e-11 nats from torch, without it 9e-7.

    Raises ExportError when the file is truncated, no GGUF, or refused by llama.cpp; EnvironmentFailure when the tested
    llama.cpp is not installed.
    """
    header = gguf_header.read(file)
    library = llama_library.load()
    model = library.llama_model_load_from_file(os.fsencode(file), library.llama_model_default_params())
    if not model:
        raise ExportError(f"{file}: llama.cpp does not load it; its reason is in the log of {llama_library.LOG_NAME}")
    return LlamaRuntime(file, header, library, model, threads or default_threads(), context, exact)


class LlamaRuntime:
    """See `zoo.serving.runtime.Runtime`."""

    def __init__(
        self,
        file: Path,
        header: gguf_header.Header,
        library: ctypes.CDLL,
        model: int,
        threads: int,
        context: int,
        exact: bool,
    ) -> None:
        self.file, self.header, self.threads = file, header, threads
        self._library, self._model, self._context = library, model, 0
        self._vocabulary = library.llama_model_get_vocab(model)
        self.vocabulary_size: int = library.llama_vocab_n_tokens(self._vocabulary)
        self.cached: list[int] = []
        """The tokens whose keys and values are in the cache, from position 0; a picture's are negative."""
        self._positions: list[int] = []
        """Of each cached token: where it, or the picture that it is of, begins. A picture takes fewer than tokens."""
        self._next = 0
        """The position of the token to come."""
        self._eyes: Eyes | None = None
        self.prefilled_tokens = self.calls = 0
        """What the last prompt and answer cost: tokens that were computed, runs of the model."""
        self.chunk = _BATCH
        self.reuse, self.lookup, self.said = True, False, Said()
        self.guesses: Mapping[int, int] = PATIENT
        self._exact = exact
        parameters = library.llama_context_default_params()
        parameters.n_ctx, parameters.n_batch, parameters.n_ubatch = context, _BATCH, _BATCH
        parameters.n_threads = parameters.n_threads_batch = threads
        if exact:
            parameters.type_k = parameters.type_v = llama_library.F32
            parameters.flash_attn_type = llama_library.NO_FUSED_ATTENTION
        self._context = library.llama_init_from_model(model, parameters)
        if not self._context:
            self.close()
            raise ExportError(f"{file}: llama.cpp makes no context of {context} tokens; is there memory for it?")
        self.context: int = library.llama_n_ctx(self._context)
        self._towers = towers_beside(file, header)
        if self._towers:
            self.chunk = self.context  # a picture is fed whole, with what stands around it

    @property
    def sees_pictures(self) -> bool:
        """Whether chats may hold pictures. The tower is opened when the first one comes."""
        return bool(self._towers)

    @property
    def chat_template(self) -> str:
        """The template that the file embeds, empty when it has none."""
        return str(self.header.metadata.get("tokenizer.chat_template", ""))

    def encode(self, chat_or_text: Chat | str) -> list[int]:
        """As llama.cpp's own server: BOS is put in front when the file says so, and never twice; a picture stands where
        its part of the message does. What was encoded before a chat with pictures cannot be answered any more.

        Raises ModelError for a picture where not one tower lies beside the file.
        """
        if isinstance(chat_or_text, str):
            return self._tokenize(chat_or_text)
        pictures = pictures_in(chat_or_text)
        if not pictures:
            return self._tokenize(self._render(chat_or_text))
        eyes = self._open_eyes()
        return eyes.read(self._render(_marked(chat_or_text, eyes.mark)), pictures)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of tokens, special ones shown."""
        ids = (ctypes.c_int32 * len(token_ids))(*token_ids)
        length = 8 * len(token_ids) + 64
        while True:
            text = ctypes.create_string_buffer(length)
            written = self._library.llama_detokenize(self._vocabulary, ids, len(token_ids), text, length, False, True)
            if written >= 0:
                return text.raw[:written].decode("utf-8", "replace")
            length = -written

    def is_stop(self, token: int) -> bool:
        """Whether llama.cpp ends an answer at this token."""
        return bool(self._library.llama_vocab_is_eog(self._vocabulary, token))

    def generate(
        self,
        chats: Sequence[Chat],
        max_new_tokens: int,
        grammar: str | None = None,
        *,
        noises: Sequence[Noise] | None = None,
    ) -> list[Generation]:
        """Answers, one chat after the other; with `grammar` (GBNF), only what it allows. See `Runtime.generate`.

        Raises DataError when a chat does not fit into the context or the grammar is none.
        """
        each: Sequence[Noise | None] = [None] * len(chats) if noises is None else noises
        return [
            stepwise.answer(self, self.encode(chat), max_new_tokens, grammar, noise)
            for chat, noise in zip(chats, each, strict=True)
        ]

    def stream(self, chat: Chat, max_new_tokens: int, grammar: str | None = None) -> Iterator[Token]:
        """The answer that `generate` gives, token by token."""
        return stepwise.stream(self, self.encode(chat), max_new_tokens, grammar)

    def logits(self, token_ids: Sequence[int], start: int = 0) -> "np.ndarray[Any, Any]":
        """See `Runtime.logits`. Raises DataError for pictures, and when the tokens do not fit into the context."""
        self.check_fit(len(token_ids), 0)
        if any(token < 0 for token in token_ids):
            raise DataError(f"{self.file}: logits are of words here; leave the picture out")
        chunk, self.chunk = self.chunk, _LOGITS_BATCH
        try:
            return stepwise.logits(self, token_ids, start)
        finally:
            self.chunk = chunk

    def apply_adapter(self, file: Path) -> None:
        """Lay a LoRA adapter (a GGUF of its own) over the model, in full strength.

        Raises ExportError when it is truncated, no adapter, or of another architecture or size than the model.
        """
        gguf_header.read(file)
        adapter = self._library.llama_adapter_lora_init(self._model, os.fsencode(file))
        adapters, scales = (ctypes.c_void_p * 1)(adapter), (ctypes.c_float * 1)(1.0)
        if not adapter or self._library.llama_set_adapters_lora(self._context, adapters, 1, scales):
            raise ExportError(f"{file}: llama.cpp does not lay this adapter over {self.file.name}")
        self.keep(0)

    @property
    def weights_bytes(self) -> int:
        """Memory that the weights take; the file is mapped, so that other processes share it."""
        return int(self._library.llama_model_size(self._model))

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on."""
        self.threads = threads
        self._library.llama_set_n_threads(self._context, threads, threads)

    def describe(self) -> Description:
        """See `Runtime.describe`."""
        kind = "float32" if self._exact else "float16"
        version = llama_library.PINNED_WHEEL
        return Description("llama.cpp", version, self.threads, self.context, kind, self.reuse, self.lookup)

    @property
    def memory(self) -> Memory:
        """See `Memory`; the file is mapped, and counts as far as it was read."""
        return memory_now()

    def close(self) -> None:
        """Give the memory back; a second call does nothing."""
        if self._eyes:
            self._eyes.close()
        if self._context:
            self._library.llama_free(self._context)
        if self._model:
            self._library.llama_model_free(self._model)
        self._context = self._model = 0

    __enter__, __exit__ = entered, left

    def choice(self, grammar: str | None) -> AbstractContextManager[stepwise.Choice]:
        """See `Decoder.choice`: llama.cpp's own sampler keeps to the grammar."""
        return stepwise.likeliest() if grammar is None else Grammar(self._library, self._vocabulary, grammar)

    def keep(self, count: int) -> None:
        """Forget all but the first `count` cached tokens. Some memories can only be forgotten as a whole."""
        if count >= len(self.cached):
            return
        memory = self._library.llama_get_memory(self._context)
        self._next = self._positions[count]
        if not self._library.llama_memory_seq_rm(memory, 0, self._next, -1):
            self._library.llama_memory_seq_rm(memory, 0, -1, -1)
            count = self._next = 0
        del self.cached[count:], self._positions[count:]

    def feed(self, token_ids: list[int], wanted: int) -> "list[np.ndarray[Any, Any]]":
        """Append tokens to the cache; logits of the last `wanted`, views that the next call overwrites. These are
        words, and a picture is appended whole."""
        last = 0
        for start, stop in _runs(token_ids, self._picture_length):
            run = token_ids[start:stop]
            last = len(run)
            if run[0] < 0:
                self._see(run)
            else:
                self._decode(run, wanted if stop == len(token_ids) else 1)
        return [self._row(place) for place in range(last - wanted, last)]

    def _decode(self, token_ids: list[int], wanted: int) -> None:
        """Append words."""
        count = len(token_ids)
        places = range(self._next, self._next + count)
        batch = llama_library.Batch(n_tokens=count)
        batch.token = (ctypes.c_int32 * count)(*token_ids)
        batch.pos = (ctypes.c_int32 * count)(*places)
        batch.logits = (ctypes.c_int8 * count)(*[place >= count - wanted for place in range(count)])
        status = self._library.llama_decode(self._context, batch)
        if status:
            raise ExportError(f"{self.file}: llama.cpp could not decode {count} tokens (status {status})")
        self.cached += token_ids
        self._positions += places
        self._next += count

    def _see(self, token_ids: list[int]) -> None:
        """Append a picture."""
        after = self._open_eyes().see(self._context, token_ids[0], self._next, _BATCH)
        self.cached += token_ids
        self._positions += [self._next] * len(token_ids)
        self._next = after

    def _picture_length(self, token: int) -> int:
        return self._open_eyes().length(token)

    def _open_eyes(self) -> Eyes:
        if self._eyes is None:
            self._eyes = Eyes(self._model, the_tower(self.file, self._towers), self.threads)
        return self._eyes

    def _row(self, index: int) -> "np.ndarray[Any, Any]":
        """Logits [V] of one token of the last batch."""
        import numpy as np

        pointer = self._library.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(pointer, shape=(self.vocabulary_size,))

    def check_fit(self, prompt_tokens: int, new_tokens: int) -> None:
        """Raises DataError for a prompt that is empty or leaves no room for the answer."""
        stepwise.check_fit(self.file, prompt_tokens, new_tokens, self.context)

    def _render(self, chat: Chat) -> str:
        text = prompts.render(self.chat_template, chat, self._special_tokens())
        if self._library.llama_vocab_get_add_bos(self._vocabulary):
            return text.removeprefix(self._special_tokens()["bos_token"])
        return text

    def _tokenize(self, text: str) -> list[int]:
        data = text.encode("utf-8")
        room = len(data) + 2
        while True:
            ids = (ctypes.c_int32 * room)()
            count = self._library.llama_tokenize(self._vocabulary, data, len(data), ids, room, True, True)
            if count >= 0:
                return list(ids[:count])
            room = -count

    def _special_tokens(self) -> dict[str, str]:
        ids = {
            "bos_token": self._library.llama_vocab_bos(self._vocabulary),
            "eos_token": self._library.llama_vocab_eos(self._vocabulary),
        }
        return {name: self._text_of(token) for name, token in ids.items()}

    def _text_of(self, token: int) -> str:
        return self._library.llama_vocab_get_text(self._vocabulary, token).decode("utf-8") if token >= 0 else ""


def _marked(chat: Chat, mark: str) -> Chat:
    """A chat with a mark in the words where a picture stands, as llama.cpp's own server writes it."""
    return [{**message, "content": _words(message["content"], mark)} for message in chat]


def _words(content: Any, mark: str) -> str:
    if isinstance(content, str):
        return content
    return "".join(mark if part["type"] == "image" else part["text"] for part in content)


def _runs(token_ids: Sequence[int], picture_length: Callable[[int], int]) -> Iterator[tuple[int, int]]:
    """Where what is fed in one go begins and ends: each picture, and words in between, so many as a batch takes.

    >>> list(_runs([5, 6, -9, -9, -9, -9, 7], lambda picture: 2))
    [(0, 2), (2, 4), (4, 6), (6, 7)]
    """
    start = 0
    while start < len(token_ids):
        if token_ids[start] < 0:
            stop = start + picture_length(token_ids[start])
        else:
            ends = (place for place in range(start, len(token_ids)) if token_ids[place] < 0)
            words = next(ends, len(token_ids)) - start
            stop = start + (words - 1) % _BATCH + 1  # the short part first: the last holds all that are wanted
        yield start, stop
        start = stop

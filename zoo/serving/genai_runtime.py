"""A folder of ONNX Runtime GenAI, as its users run it: its own tokenizer, its own loop, its own cache.

One row at a time: GenAI's graphs are wrong for batches padded on the left. Answers are the plain argmax, whatever the
folder's settings recommend. Of each prompt only what the previous one did not begin with is computed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ExportError
from zoo.serving import prompts, stepwise
from zoo.serving.lookup import BOLD, Said
from zoo.serving.runtime import Chat, Description, Generation, Memory, Token, entered, left, memory_now
from zoo.serving.sampling import Noise
from zoo.serving.shipped_tokenizer import read_tokenizer
from zoo.serving.threads import default_threads

if TYPE_CHECKING:
    import numpy as np

__all__ = ["GenaiRuntime", "open_genai"]

_CHUNK = 256
"""Tokens of one call: the graph returns logits of all of them."""


def open_genai(folder: Path, threads: int | None = None, context: int = 4096) -> "GenaiRuntime":
    """Load a folder with `genai_config.json`.

    `threads` overrides what the folder's settings say; without either, `default_threads`. `context` is the most tokens
    of prompt and answer together, at most the model's own; the cache is reserved for them.

    Raises ExportError when the folder is not whole or GenAI refuses it.
    """
    try:
        settings = json.loads((folder / "genai_config.json").read_text("utf-8"))
        written = settings["model"]["decoder"].get("session_options", {}).get("intra_op_num_threads")
        threads = threads or written or default_threads()
        model = _model(folder, threads)
        return GenaiRuntime(folder, model, settings, threads, min(context, settings["model"]["context_length"]))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ExportError(f"{folder}: GenAI does not load it: {error}") from error


def _model(folder: Path, threads: int) -> Any:
    import onnxruntime_genai as genai

    config = genai.Config(str(folder))
    session = {"session_options": {"intra_op_num_threads": threads, "log_severity_level": 3}}
    config.overlay(json.dumps({"model": {"decoder": session}}))
    return genai.Model(config)


class GenaiRuntime:
    """See `zoo.serving.runtime.Runtime`."""

    def __init__(self, folder: Path, model: Any, settings: dict[str, Any], threads: int, context: int) -> None:
        import onnxruntime_genai as genai

        self.file, self.threads, self.context = folder, threads, context
        self.number_type = "float32"
        """Of the cache and the activations; the graphs that are exported for the CPU have no other."""
        self.vocabulary_size = int(settings["model"]["vocab_size"])
        self._layers = int(settings["model"]["decoder"]["num_hidden_layers"])
        self.tokenizer = read_tokenizer(folder)
        self.stop_ids = _ids(settings["model"].get("eos_token_id"))
        self._model: Any = model
        self._own_tokenizer: Any = genai.Tokenizer(model)
        self._generator: Any = None
        self.cached: list[int] = []
        self.prefilled_tokens = self.calls = 0
        """What the last prompt and answer cost: tokens that were computed, runs of the model."""
        self.chunk = _CHUNK
        self.reuse, self.lookup, self.said = True, False, Said()
        self.guesses: Mapping[int, int] = BOLD

    @property
    def chat_template(self) -> str:
        """The template beside the graph, empty when there is none."""
        return self.tokenizer.chat_template

    def encode(self, chat_or_text: Chat | str) -> list[int]:
        """By GenAI's own tokenizer, which reads `tokenizer.json` with code of its own."""
        if isinstance(chat_or_text, str):
            return [int(token) for token in self._own_tokenizer.encode(chat_or_text)]
        text = prompts.render(self.chat_template, chat_or_text, self.tokenizer.special_tokens)
        ids = [int(token) for token in self._own_tokenizer.encode(text)]
        # It always puts in front what the tokenizer puts there; the template has done so already.
        start = [int(token) for token in self._own_tokenizer.encode("")]
        return ids[len(start) :] if start and ids[: 2 * len(start)] == start + start else ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of tokens, special ones shown, which GenAI's own tokenizer leaves out."""
        return self.tokenizer.decode(token_ids)

    def is_stop(self, token: int) -> bool:
        """Whether an answer ends at this token."""
        return token in self.stop_ids

    def generate(
        self,
        chats: Sequence[Chat],
        max_new_tokens: int,
        grammar: str | None = None,
        *,
        noises: Sequence[Noise] | None = None,
    ) -> list[Generation]:
        """Answers, one chat after the other; see `Runtime.generate`. Raises DataError when one does not fit into the
        context."""
        return stepwise.answers(self, [self.encode(chat) for chat in chats], max_new_tokens, grammar, noises)

    def stream(self, chat: Chat, max_new_tokens: int, grammar: str | None = None) -> Iterator[Token]:
        """The greedy answer that `generate` gives, token by token."""
        return stepwise.stream(self, self.encode(chat), max_new_tokens, grammar)

    def logits(self, token_ids: Sequence[int], start: int = 0) -> "np.ndarray[Any, Any]":
        """See `Runtime.logits`. Raises DataError when the tokens do not fit into the context."""
        self.check_fit(len(token_ids), 0)
        return stepwise.logits(self, token_ids, start)

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on; the graph is loaded again."""
        import onnxruntime_genai as genai

        self.close()
        self.threads, self.cached = threads, []
        self._model = _model(self.file, threads)
        self._own_tokenizer = genai.Tokenizer(self._model)

    def describe(self) -> Description:
        """See `Runtime.describe`."""
        name = "onnxruntime-genai"
        return Description(name, version(name), self.threads, self.context, self.number_type, self.reuse, self.lookup)

    @property
    def memory(self) -> Memory:
        """See `Memory`."""
        return memory_now()

    def close(self) -> None:
        """Drop the model; a second call does nothing."""
        self._generator = self._own_tokenizer = self._model = None

    __enter__, __exit__ = entered, left

    def choice(self, grammar: str | None) -> AbstractContextManager[stepwise.Choice]:
        """See `Decoder.choice`. GenAI's own grammars are of other languages and bind its own loop, which hands out no
        logits."""
        return stepwise.choice(grammar, lambda: self.tokenizer.token_bytes, self.stop_ids)

    def keep(self, count: int) -> None:
        """Forget all but the first `count` cached tokens."""
        import onnxruntime_genai as genai

        if count == 0 or self._generator is None:
            parameters = genai.GeneratorParams(self._model)
            parameters.set_search_options(max_length=self.context, do_sample=False)
            self._generator = genai.Generator(self._model, parameters)
        elif count < len(self.cached):
            self._generator.rewind_to(count)
        del self.cached[count:]

    def feed(self, token_ids: list[int], wanted: int) -> "list[np.ndarray[Any, Any]]":
        """Append tokens to the cache; logits [V] of the last `wanted`."""
        import numpy as np

        self._generator.append_tokens(np.array(token_ids, np.int32))
        self.cached += token_ids
        return list(self._generator.get_output("logits")[0, -wanted:])

    @property
    def caches(self) -> "dict[str, np.ndarray[Any, Any]]":
        """Keys and values [heads, T, width] of the cached tokens, by `LAYER.key` and `LAYER.value`."""
        kept = len(self.cached)
        places = [f"{layer}.{part}" for layer in range(self._layers) for part in ("key", "value")]
        return {place: self._generator.get_output(f"present.{place}")[0, :, :kept] for place in places}

    def check_fit(self, prompt_tokens: int, new_tokens: int) -> None:
        """Raises DataError for a prompt that is empty or leaves no room for the answer."""
        stepwise.check_fit(self.file, prompt_tokens, new_tokens, self.context)


def _ids(stops: int | list[int] | None) -> frozenset[int]:
    return frozenset(stops if isinstance(stops, list) else () if stops is None else (stops,))

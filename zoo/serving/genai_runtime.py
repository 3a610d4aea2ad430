"""A folder of ONNX Runtime GenAI, as its users run it: its own tokenizer, its own loop, its own cache.

One row at a time: GenAI's graphs are wrong for batches padded on the left. Answers are the plain argmax, whatever the
folder's settings recommend. Of each prompt only what the previous one did not begin with is computed.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, ExportError
from zoo.serving import prompts, stepwise
from zoo.serving.llama_runtime import default_threads
from zoo.serving.runtime import Chat, Generation
from zoo.serving.sampling import Noise
from zoo.serving.shipped_tokenizer import read_tokenizer

if TYPE_CHECKING:
    import numpy as np

__all__ = ["GenaiRuntime", "open_genai"]


def open_genai(folder: Path, threads: int | None = None, context: int = 4096) -> "GenaiRuntime":
    """Load a folder with `genai_config.json`.

    `threads` overrides what the folder's settings say; without either, `default_threads`. `context` is the most tokens
    of prompt and answer together, at most the model's own; the cache is reserved for them.

    Raises ExportError when the folder is not whole or GenAI refuses it.
    """
    import onnxruntime_genai as genai

    try:
        settings = json.loads((folder / "genai_config.json").read_text("utf-8"))
        written = settings["model"]["decoder"].get("session_options", {}).get("intra_op_num_threads")
        threads = threads or written or default_threads()
        config = genai.Config(str(folder))
        session = {"session_options": {"intra_op_num_threads": threads, "log_severity_level": 3}}
        config.overlay(json.dumps({"model": {"decoder": session}}))
        model = genai.Model(config)
        return GenaiRuntime(folder, model, settings, threads, min(context, settings["model"]["context_length"]))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ExportError(f"{folder}: GenAI does not load it: {error}") from error


class GenaiRuntime:
    """See `zoo.serving.runtime.Runtime`."""

    def __init__(self, folder: Path, model: Any, settings: dict[str, Any], threads: int, context: int) -> None:
        import onnxruntime_genai as genai

        self.file, self.threads, self.context = folder, threads, context
        self.number_type = "float32"
        """Of the cache and the activations; the graphs that are exported for the CPU have no other."""
        self.vocabulary_size = int(settings["model"]["vocab_size"])
        self.tokenizer = read_tokenizer(folder)
        self.stop_ids = _ids(settings["model"].get("eos_token_id"))
        self._model: Any = model
        self._own_tokenizer: Any = genai.Tokenizer(model)
        self._generator: Any = None
        self.cached: list[int] = []
        self.prefilled_tokens = 0
        """How many tokens of the last prompt were computed and not taken from the cache."""

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
        self, chats: Sequence[Chat], max_new_tokens: int, *, noises: Sequence[Noise] | None = None
    ) -> list[Generation]:
        """Answers, one chat after the other; see `Runtime.generate`.

        Raises DataError when one does not fit into the context."""
        each: Sequence[Noise | None] = noises or [None] * len(chats)
        return [self._answer(self.encode(chat), max_new_tokens, noise) for chat, noise in zip(chats, each, strict=True)]

    def logits(self, token_ids: Sequence[int], start: int = 0) -> "np.ndarray[Any, Any]":
        """See `Runtime.logits`. Raises DataError when the tokens do not fit into the context."""
        self._check_fit(len(token_ids), 0)
        return stepwise.logits(self, token_ids, start)

    def close(self) -> None:
        """Drop the model; a second call does nothing."""
        self._generator = self._own_tokenizer = self._model = None

    def __enter__(self) -> "GenaiRuntime":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, prompt: list[int], max_new_tokens: int, noise: Noise | None = None) -> Generation:
        self._check_fit(len(prompt), max_new_tokens)
        return stepwise.answer(self, prompt, max_new_tokens, self.stop_ids, self.decode, noise)

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

    def feed(self, token_ids: list[int]) -> "np.ndarray[Any, Any]":
        """Append tokens to the cache; their logits [T, V]."""
        import numpy as np

        self._generator.append_tokens(np.array(token_ids, np.int32))
        self.cached += token_ids
        return self._generator.get_output("logits")[0]  # type: ignore[no-any-return]  # GenAI is untyped

    def _check_fit(self, prompt_tokens: int, new_tokens: int) -> None:
        if not prompt_tokens:
            raise DataError(f"{self.file}: an empty prompt has no next token")
        if prompt_tokens + new_tokens > self.context:
            raise DataError(
                f"{self.file}: a prompt of {prompt_tokens} tokens and {new_tokens} new ones exceed the context of "
                f"{self.context}; open the folder with a larger context, if the model has one"
            )


def _ids(stops: int | list[int] | None) -> frozenset[int]:
    return frozenset(stops if isinstance(stops, list) else () if stops is None else (stops,))

"""An ONNX graph in plain ONNX Runtime on the CPU, with the tokenizer that lies beside it.

Like the other runtimes it answers one chat after the other and computes of each prompt only what the previous one did
not begin with. `padded` runs several rows at once, padded on the left, as optimum and transformers.js do.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ExportError
from zoo.serving import stepwise
from zoo.serving.lookup import BOLD, Said
from zoo.serving.runtime import Chat, Description, Generation, Memory, Token, entered, left, memory_now
from zoo.serving.sampling import Noise
from zoo.serving.shipped_tokenizer import read_tokenizer
from zoo.serving.threads import default_threads

if TYPE_CHECKING:
    import numpy as np

__all__ = ["OnnxRuntime", "open_onnx"]

_CHUNK = 256
"""Tokens of one call: the graph returns logits of all of them, and 256 rows of 152 000 float32 are 156 MB."""
_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


def open_onnx(graph: Path, threads: int | None = None) -> "OnnxRuntime":
    """Load a graph with its tokenizer, which lies in the graph's folder or the one above.

    `threads`: see `default_threads`.

    Raises ExportError when ONNX Runtime does not load the graph, when its data file or its tokenizer is not there, or
    when the sizes of its cache are no numbers.
    """
    threads = threads or default_threads()
    return OnnxRuntime(graph, _session(graph, threads), threads)


class OnnxRuntime:
    """See `zoo.serving.runtime.Runtime`."""

    def __init__(self, graph: Path, session: Any, threads: int) -> None:
        self.file, self.threads = graph, threads
        self._session: Any = session
        self.tokenizer = read_tokenizer(_tokenizer_folder(graph))
        self.stop_ids = self.tokenizer.stop_ids
        self.inputs: dict[str, Any] = {one.name: one for one in session.get_inputs()}
        self.outputs: dict[str, Any] = {one.name: one for one in session.get_outputs()}
        self._past_names = [name for name in self.inputs if name.startswith("past_key_values.")]
        self._check_cache()
        self.number_type = _TYPES[self.inputs[self._past_names[0]].type]
        """Of the cache and the activations: `float32` or `float16`."""
        self.vocabulary_size = int(self.outputs["logits"].shape[-1])
        self.cached: list[int] = []
        self._past = self._empty(1)
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
        """See `Runtime.encode`."""
        return self.tokenizer.encode(chat_or_text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of tokens, special ones shown."""
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
        """Answers, one chat after the other; see `Runtime.generate`."""
        return stepwise.answers(self, [self.encode(chat) for chat in chats], max_new_tokens, grammar, noises)

    def stream(self, chat: Chat, max_new_tokens: int, grammar: str | None = None) -> Iterator[Token]:
        """The greedy answer that `generate` gives, token by token."""
        return stepwise.stream(self, self.encode(chat), max_new_tokens, grammar)

    def logits(self, token_ids: Sequence[int], start: int = 0) -> "np.ndarray[Any, Any]":
        """See `Runtime.logits`."""
        self.check_fit(len(token_ids), 0)
        return stepwise.logits(self, token_ids, start)

    @property
    def caches(self) -> "dict[str, np.ndarray[Any, Any]]":
        """Keys and values [heads, T, width] of the cached tokens, by `LAYER.key` and `LAYER.value`."""
        return {_place(name): array[0] for name, array in zip(self._past_names, self._past, strict=True)}

    def padded(self, rows: Sequence[Sequence[int]]) -> "list[tuple[np.ndarray[Any, Any], dict[str, Any]]]":
        """Logits [T, V] and `caches` of each row, computed as one batch that is padded on the left."""
        import numpy as np

        width = max(len(row) for row in rows)
        ids = np.zeros((len(rows), width), np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, width - len(row) :] = row
            mask[index, width - len(row) :] = 1
        logits, *present = self._run(ids, mask, np.maximum(mask.cumsum(1) - 1, 0), self._empty(len(rows)))
        caches = dict(zip(map(_place, self._past_names), present, strict=True))
        return [
            (
                logits[index, width - len(row) :].astype(np.float32),
                {name: array[index, :, width - len(row) :] for name, array in caches.items()},
            )
            for index, row in enumerate(rows)
        ]

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on; the graph is loaded again."""
        self.threads, self._session = threads, None
        self.keep(0)
        self._session = _session(self.file, threads)

    def describe(self) -> Description:
        """See `Runtime.describe`."""
        installed = version("onnxruntime")
        return Description("onnxruntime", installed, self.threads, None, self.number_type, self.reuse, self.lookup)

    @property
    def memory(self) -> Memory:
        """See `Memory`."""
        return memory_now()

    def close(self) -> None:
        """Drop the session and the cache."""
        self._session, self._past, self.cached = None, [], []

    __enter__, __exit__ = entered, left

    def choice(self, grammar: str | None) -> AbstractContextManager[stepwise.Choice]:
        """See `Decoder.choice`."""
        return stepwise.choice(grammar, lambda: self.tokenizer.token_bytes, self.stop_ids)

    def keep(self, count: int) -> None:
        """Forget all but the first `count` cached tokens."""
        if count < len(self.cached):
            self._past = [array[:, :, :count] for array in self._past]
            del self.cached[count:]

    def feed(self, token_ids: list[int], wanted: int) -> "list[np.ndarray[Any, Any]]":
        """Append tokens to the cache; logits [V] of the last `wanted`."""
        import numpy as np

        past = len(self.cached)
        total = past + len(token_ids)
        ids, mask = np.array([token_ids], np.int64), np.ones((1, total), np.int64)
        logits, *self._past = self._run(ids, mask, np.arange(past, total)[None], self._past)
        self.cached += token_ids
        return list(logits[0, -wanted:])

    def _run(self, ids: Any, mask: Any, positions: Any, past: Sequence[Any]) -> list[Any]:
        feed = {"input_ids": ids, "attention_mask": mask, **dict(zip(self._past_names, past, strict=True))}
        if "position_ids" in self.inputs:
            feed["position_ids"] = positions
        wanted = ["logits", *(name.replace("past_key_values.", "present.") for name in self._past_names)]
        return list(self._session.run(wanted, feed))

    def _empty(self, rows: int) -> "list[np.ndarray[Any, Any]]":
        import numpy as np

        caches = [self.inputs[name] for name in self._past_names]
        return [np.zeros((rows, one.shape[1], 0, one.shape[3]), _TYPES[one.type]) for one in caches]

    def _check_cache(self) -> None:
        sizes = [self.inputs[name].shape for name in self._past_names]
        if not sizes or not {"input_ids", "attention_mask"} <= self.inputs.keys() or "logits" not in self.outputs:
            raise ExportError(f"{self.file}: no decoder with a cache; its inputs are {', '.join(self.inputs)}")
        if any(len(shape) != 4 or not all(isinstance(shape[axis], int) for axis in (1, 3)) for shape in sizes):
            raise ExportError(f"{self.file}: the cache has the shape {sizes[0]}; heads and their width must be numbers")

    def check_fit(self, prompt_tokens: int, new_tokens: int) -> None:
        """Raises DataError for an empty prompt; a plain graph has no other limit than memory."""
        stepwise.check_fit(self.file, prompt_tokens)


def _session(graph: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no class but this one
        raise ExportError(f"{graph}: ONNX Runtime does not load it: {error}") from error


def _place(past_name: str) -> str:
    return past_name.removeprefix("past_key_values.")


def _tokenizer_folder(graph: Path) -> Path:
    """The graph's own folder (GenAI's layout), else the one above (`onnx/model.onnx`)."""
    return graph.parent if (graph.parent / "tokenizer.json").is_file() else graph.parent.parent

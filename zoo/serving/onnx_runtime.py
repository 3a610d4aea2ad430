"""An ONNX graph in plain ONNX Runtime on the CPU, with the tokenizer that lies beside it.

Like the other runtimes it answers one chat after the other and computes of each prompt only what the previous one did
not begin with. `padded_logits` runs several rows at once, padded on the left, as optimum and transformers.js do.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, ExportError
from zoo.serving import stepwise
from zoo.serving.llama_runtime import default_threads
from zoo.serving.runtime import Chat, Generation
from zoo.serving.sampling import Noise
from zoo.serving.shipped_tokenizer import read_tokenizer

if TYPE_CHECKING:
    import numpy as np

__all__ = ["OnnxRuntime", "open_onnx"]

_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


def open_onnx(graph: Path, threads: int | None = None) -> "OnnxRuntime":
    """Load a graph with its tokenizer, which lies in the graph's folder or the one above.

    `threads`: see `default_threads`.

    Raises ExportError when ONNX Runtime does not load the graph, when its data file or its tokenizer is not there, or
    when the sizes of its cache are no numbers.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or default_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no class but this one
        raise ExportError(f"{graph}: ONNX Runtime does not load it: {error}") from error
    return OnnxRuntime(graph, session, options.intra_op_num_threads)


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
        self.prefilled_tokens = 0
        """How many tokens of the last prompt were computed and not taken from the cache."""

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
        self, chats: Sequence[Chat], max_new_tokens: int, *, noises: Sequence[Noise] | None = None
    ) -> list[Generation]:
        """Answers, one chat after the other; see `Runtime.generate`."""
        each: Sequence[Noise | None] = noises or [None] * len(chats)
        return [self._answer(self.encode(chat), max_new_tokens, noise) for chat, noise in zip(chats, each, strict=True)]

    def logits(self, token_ids: Sequence[int], start: int = 0) -> "np.ndarray[Any, Any]":
        """See `Runtime.logits`."""
        self._check_not_empty(token_ids)
        return stepwise.logits(self, token_ids, start)

    def padded_logits(self, rows: Sequence[Sequence[int]]) -> "list[np.ndarray[Any, Any]]":
        """Logits [T, V] of each row, computed as one batch that is padded on the left."""
        import numpy as np

        width = max(len(row) for row in rows)
        ids = np.zeros((len(rows), width), np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, width - len(row) :] = row
            mask[index, width - len(row) :] = 1
        logits, *_ = self._run(ids, mask, np.maximum(mask.cumsum(1) - 1, 0), self._empty(len(rows)))
        return [logits[index, width - len(row) :].astype(np.float32) for index, row in enumerate(rows)]

    def close(self) -> None:
        """Drop the session and the cache."""
        self._session, self._past, self.cached = None, [], []

    def __enter__(self) -> "OnnxRuntime":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, prompt: list[int], max_new_tokens: int, noise: Noise | None = None) -> Generation:
        self._check_not_empty(prompt)
        return stepwise.answer(self, prompt, max_new_tokens, self.stop_ids, self.decode, noise)

    def keep(self, count: int) -> None:
        """Forget all but the first `count` cached tokens."""
        if count < len(self.cached):
            self._past = [array[:, :, :count] for array in self._past]
            del self.cached[count:]

    def feed(self, token_ids: list[int]) -> "np.ndarray[Any, Any]":
        """Append tokens to the cache; their logits [T, V]."""
        import numpy as np

        past = len(self.cached)
        total = past + len(token_ids)
        ids, mask = np.array([token_ids], np.int64), np.ones((1, total), np.int64)
        logits, *self._past = self._run(ids, mask, np.arange(past, total)[None], self._past)
        self.cached += token_ids
        return logits[0]  # type: ignore[no-any-return]  # onnxruntime is untyped

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

    def _check_not_empty(self, token_ids: Sequence[int]) -> None:
        if not token_ids:
            raise DataError(f"{self.file}: an empty prompt has no next token")


def _tokenizer_folder(graph: Path) -> Path:
    """The graph's own folder (GenAI's layout), else the one above (`onnx/model.onnx`)."""
    return graph.parent if (graph.parent / "tokenizer.json").is_file() else graph.parent.parent

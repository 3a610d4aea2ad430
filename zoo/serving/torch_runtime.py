"""A checkpoint folder in transformers: the reference that exports are compared with.

Batches are padded on the left, and answers are the plain argmax whatever `generation_config.json` recommends
(a repetition penalty would make torch answer otherwise than every other runtime).
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import DataError, ModelError
from zoo.serving import prompts
from zoo.serving.runtime import Chat, Generation, Token, spoken
from zoo.serving.sampling import Noise, noise_processor

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TorchRuntime", "open_torch"]


def open_torch(
    folder: Path, device: str = "cpu", dtype: Literal["float32", "bfloat16", "float16"] = "float32"
) -> "TorchRuntime":
    """Load a checkpoint with its tokenizer; of a vision-language model, the text side is used.

    Raises ModelError when weights are missing, truncated or foreign, or when there is no tokenizer.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

    refuse_adapter(folder)
    config = read_config(folder)
    auto = AutoModelForImageTextToText if "vision_config" in config else AutoModelForCausalLM
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model, report = auto.from_pretrained(folder, dtype=getattr(torch, dtype), output_loading_info=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder}: cannot be loaded: {error}") from error
    if absent := sorted(report["missing_keys"]):
        # transformers fills them with random numbers and only warns
        raise ModelError(f"{folder}: the checkpoint lacks {len(absent)} tensors, the first is {absent[0]}")
    return TorchRuntime(folder, model.to(device).eval(), tokenizer)


def refuse_adapter(folder: Path) -> None:
    """Raises ModelError when a folder holds a LoRA adapter and no model: alone it computes nothing."""
    file = folder / "adapter_config.json"
    if file.is_file() and not (folder / "config.json").is_file():
        base = json.loads(file.read_text("utf-8")).get("base_model_name_or_path") or "its base model"
        raise ModelError(f"{folder} is an adapter of {base}, not a model; merge it into that model first")


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a checkpoint. Raises ModelError when there is none or it is no JSON object."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no config.json; this is no checkpoint folder") from error
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'}: no JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{folder / 'config.json'}: not a JSON object")
    return config


class TorchRuntime:
    """See `zoo.serving.runtime.Runtime`."""

    def __init__(self, folder: Path, model: Any, tokenizer: Any) -> None:
        from transformers import GenerationConfig

        self.folder, self.model, self.tokenizer = folder, model, tokenizer
        self.stop_ids = _stop_ids(model.generation_config, tokenizer)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self.stop_ids, default=0)
        self._pad_id = pad
        # The model's own copy is replaced too: generate() takes from it whatever the caller leaves at its default.
        model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=sorted(self.stop_ids) or None, pad_token_id=pad
        )

    @property
    def chat_template(self) -> str:
        """The template of the tokenizer, empty when it has none."""
        return self.tokenizer.chat_template or ""

    def encode(self, chat_or_text: Chat | str) -> list[int]:
        """A chat is rendered and tokenized without further BOS; a text as the tokenizer does by itself."""
        if isinstance(chat_or_text, str):
            return list(self.tokenizer(chat_or_text)["input_ids"])
        text = prompts.render(self.chat_template, chat_or_text, self.tokenizer.special_tokens_map)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of tokens, special ones shown."""
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def generate(
        self, chats: Sequence[Chat], max_new_tokens: int, *, noises: Sequence[Noise] | None = None
    ) -> list[Generation]:
        """Answers of one batch; each row ends at its own stop token. See `Runtime.generate`."""
        import torch

        if not chats:
            return []
        started = time.perf_counter()
        rows = [self.encode(chat) for chat in chats]
        ids, mask = self._left_padded(rows)
        clock = _StepClock(started)
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max_new_tokens,
                stopping_criteria=[clock],
                logits_processor=[noise_processor(noises)] if noises else None,
            )
        answers = [self._until_stop(row) for row in output[:, ids.shape[1] :].tolist()]
        return [self._generation(answer, row, clock.steps) for answer, row in zip(answers, rows, strict=True)]

    def stream(self, chat: Chat, max_new_tokens: int) -> Iterator[Token]:
        """The answer that `generate` gives, token by token."""
        started = time.perf_counter()
        return spoken(self._tokens(self.encode(chat), max_new_tokens), self.decode, started)

    def logits(self, token_ids: Sequence[int], start: int = 0) -> "np.ndarray[Any, Any]":
        """See `Runtime.logits`."""
        import torch

        if not token_ids:
            raise DataError(f"{self.folder}: an empty prompt has no next token")
        with torch.inference_mode():
            ids = torch.tensor([list(token_ids)], device=self.model.device)
            rows = self.model(input_ids=ids, logits_to_keep=len(token_ids) - start, use_cache=False).logits[0]
            return rows.float().cpu().numpy()  # type: ignore[no-any-return]  # torch is untyped here

    def close(self) -> None:
        """Drop the model; the memory comes back when the caller lets go of it too."""
        self.model = None

    def __enter__(self) -> "TorchRuntime":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tokens(self, prompt: list[int], max_new_tokens: int) -> Iterator[int]:
        """What the model says next, again and again, up to the stop token."""
        import torch

        ids, cache = torch.tensor([prompt], device=self.model.device), None
        for _ in range(max_new_tokens):
            with torch.inference_mode():
                output = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache, token = output.past_key_values, int(output.logits[0, -1].argmax())
            if token in self.stop_ids:
                return
            yield token
            ids = torch.tensor([[token]], device=self.model.device)

    def _left_padded(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Token ids and mask [B, longest]: answers begin in the same column."""
        import torch

        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), self._pad_id)
        mask = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, width - len(row) :] = torch.tensor(row)
            mask[index, width - len(row) :] = 1
        return ids.to(self.model.device), mask.to(self.model.device)

    def _until_stop(self, answer: list[int]) -> list[int]:
        end = next((index for index, token in enumerate(answer) if token in self.stop_ids), len(answer))
        return answer[:end]

    def _generation(self, answer: list[int], prompt: list[int], steps: list[float]) -> Generation:
        last = steps[min(len(answer), len(steps) - 1)]
        return Generation(self.decode(answer), len(answer), len(prompt), steps[0], last)


class _StepClock:
    """Notes when each step of a batch was done; as a stopping criterion it never stops anything."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.steps: list[float] = []

    def __call__(self, input_ids: Any, scores: Any, **options: Any) -> Any:
        import torch

        self.steps.append(time.perf_counter() - self.started)
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def _stop_ids(generation_config: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends an answer: of the generation config (one or several) and of the tokenizer."""
    configured = generation_config.eos_token_id
    several = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in (*several, tokenizer.eos_token_id) if token is not None)

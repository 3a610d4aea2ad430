"""A checkpoint folder in transformers: the reference that exports are compared with.

Several chats are answered by transformers' own `generate` as one batch, padded on the left; one chat that is streamed,
kept to a grammar, or answered with `reuse` or `lookup`, by the loop of `zoo.serving.stepwise`. Answers are the plain
argmax whatever `generation_config.json` recommends (a repetition penalty would make torch answer otherwise than every
other runtime).
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import DataError, ModelError
from zoo.serving import prompts, stepwise
from zoo.serving.lookup import BOLD, Said
from zoo.serving.runtime import Chat, Description, Generation, Memory, Token, entered, left, memory_now
from zoo.serving.sampling import Noise, noise_processor
from zoo.serving.token_bytes import token_bytes
from zoo.serving.torch_vision import Eyes, has_pictures, open_eyes

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TorchRuntime", "open_torch"]

_CHUNK = 2048
"""Tokens of one call: only the logits that are wanted are computed."""


def open_torch(
    folder: Path, device: str = "cpu", dtype: Literal["float32", "bfloat16", "float16"] = "float32"
) -> "TorchRuntime":
    """Load a checkpoint with its tokenizer; a vision-language model also answers chats with pictures.

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
        # Told to ignore other sizes, it names them; else it names no tensor
        model, report = auto.from_pretrained(
            folder, dtype=getattr(torch, dtype), output_loading_info=True, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder}: cannot be loaded: {error}") from error
    if other := sorted(report["mismatched_keys"]):
        name, stored, asked = other[0][0], *map(tuple, other[0][1:])
        raise ModelError(
            f"{folder}: {len(other)} tensors have other sizes than config.json says; {name} has {stored}, not {asked}"
        )
    if absent := sorted(report["missing_keys"]):
        # transformers fills them with random numbers and only warns
        raise ModelError(f"{folder}: the checkpoint lacks {len(absent)} tensors, the first is {absent[0]}")
    return TorchRuntime(folder, model.to(device).eval(), tokenizer, open_eyes(folder, config))


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

    def __init__(self, folder: Path, model: Any, tokenizer: Any, eyes: Eyes | None = None) -> None:
        from transformers import GenerationConfig

        self.folder, self.model, self.tokenizer, self._eyes = folder, model, tokenizer, eyes
        self.stop_ids = _stop_ids(model.generation_config, tokenizer)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self.stop_ids, default=0)
        self._pad_id = pad
        self.vocabulary_size = int(model.config.get_text_config().vocab_size)
        self._cache: Any = None
        self.cached: list[int] = []
        """The tokens whose keys and values are kept, from position 0."""
        self.prefilled_tokens = self.calls = 0
        """What the last prompt and answer of the loop cost: tokens that were computed, runs of the model."""
        self.chunk = _CHUNK
        self.guesses: Mapping[int, int] = BOLD
        self.reuse, self.lookup, self.said = False, False, Said()
        """Off: in bfloat16 a prompt in two parts is another sum, and whoever measures the checkpoint wants neither."""
        # The model's own copy is replaced too: generate() takes from it whatever the caller leaves at its default.
        model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=sorted(self.stop_ids) or None, pad_token_id=pad
        )

    @property
    def sees_pictures(self) -> bool:
        """Whether chats may hold pictures."""
        return self._eyes is not None

    @property
    def chat_template(self) -> str:
        """The template of the tokenizer, empty when it has none."""
        return self.tokenizer.chat_template or ""

    def encode(self, chat_or_text: Chat | str) -> list[int]:
        """A chat is rendered and tokenized without further BOS; a text as the tokenizer does by itself."""
        if isinstance(chat_or_text, str):
            return list(self.tokenizer(chat_or_text)["input_ids"])
        if has_pictures([chat_or_text]):
            return [int(token) for token in self._seen([chat_or_text])["input_ids"][0]]
        return list(self.tokenizer(self._render(chat_or_text), add_special_tokens=False)["input_ids"])

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of tokens, special ones shown."""
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def generate(
        self,
        chats: Sequence[Chat],
        max_new_tokens: int,
        grammar: str | None = None,
        *,
        noises: Sequence[Noise] | None = None,
    ) -> list[Generation]:
        """Answers; without a grammar and the two switches, those of one batch. See `Runtime.generate`. Raises DataError
        for pictures under a grammar."""
        pictures = has_pictures(chats)
        if pictures and grammar is not None:
            raise DataError("answers about pictures are not kept to a grammar here; leave the grammar out")
        if grammar is None and (pictures or not (len(chats) == 1 and (self.reuse or self.lookup))):
            return self._batch(chats, max_new_tokens, noises)
        return stepwise.answers(self, [self.encode(chat) for chat in chats], max_new_tokens, grammar, noises)

    def stream(self, chat: Chat, max_new_tokens: int, grammar: str | None = None) -> Iterator[Token]:
        """The greedy answer that `generate` gives, token by token. Raises DataError for a chat with a picture."""
        if has_pictures([chat]):
            raise DataError("an answer about a picture is not streamed; call generate")
        return stepwise.stream(self, self.encode(chat), max_new_tokens, grammar)

    def _batch(self, chats: Sequence[Chat], max_new_tokens: int, noises: Sequence[Noise] | None) -> list[Generation]:
        """Each row ends at its own stop token."""
        import torch

        if not chats:
            return []
        self.keep(0)  # of a model with eyes, generate() leaves other positions behind than the loop's cache stands for
        started = time.perf_counter()
        inputs = self._seen(chats) if has_pictures(chats) else self._read(chats)
        clock = _StepClock(started)
        with torch.inference_mode():
            output = self.model.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                stopping_criteria=[clock],
                logits_processor=None if noises is None else [noise_processor(noises)],
            )
        width = inputs["input_ids"].shape[1]
        answers = [self._until_stop(row) for row in output[:, width:].tolist()]
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return [self._generation(answer, length, clock.steps) for answer, length in zip(answers, lengths, strict=True)]

    def logits(self, token_ids: Sequence[int], start: int = 0) -> "np.ndarray[Any, Any]":
        """See `Runtime.logits`."""
        import torch

        self.check_fit(len(token_ids), 0)
        with torch.inference_mode():
            ids = torch.tensor([list(token_ids)], device=self.model.device)
            rows = self.model(input_ids=ids, logits_to_keep=len(token_ids) - start, use_cache=False).logits[0]
            return rows.float().cpu().numpy()  # type: ignore[no-any-return]  # torch is untyped here

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on, as does everything else in torch in this process."""
        import torch

        torch.set_num_threads(threads)

    def describe(self) -> Description:
        """See `Runtime.describe`."""
        import torch

        kind = str(self.model.dtype).removeprefix("torch.")
        installed = version("torch")
        return Description("torch", installed, torch.get_num_threads(), None, kind, self.reuse, self.lookup)

    @property
    def memory(self) -> Memory:
        """See `Memory`; not that of a GPU."""
        return memory_now()

    def close(self) -> None:
        """Drop the model; the memory comes back when the caller lets go of it too."""
        self.model = self._cache = None

    __enter__, __exit__ = entered, left

    def choice(self, grammar: str | None) -> AbstractContextManager[stepwise.Choice]:
        """See `Decoder.choice`."""
        return stepwise.choice(grammar, lambda: self.token_bytes, self.stop_ids)

    @cached_property
    def token_bytes(self) -> list[bytes | None]:
        """What every token writes, see `zoo.serving.token_bytes`."""
        return token_bytes(self.tokenizer.backend_tokenizer.to_str())

    def is_stop(self, token: int) -> bool:
        """Whether an answer ends at this token."""
        return token in self.stop_ids

    def feed(self, token_ids: list[int], wanted: int) -> "list[np.ndarray[Any, Any]]":
        """Append tokens to the cache; logits [V] of the last `wanted`."""
        import torch

        with torch.inference_mode():
            ids = torch.tensor([token_ids], device=self.model.device)
            output = self.model(input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=wanted)
        self._cache = output.past_key_values
        self.cached += token_ids
        return list(output.logits[0].float().cpu().numpy())

    def keep(self, count: int) -> None:
        """Forget all but the first `count` cached tokens; a cache that slides can only be forgotten as a whole."""
        if count and count < len(self.cached):
            from transformers.cache_utils import DynamicLayer

            if all(type(layer) is DynamicLayer for layer in self._cache.layers):
                self._cache.crop(count - len(self.cached))
            else:
                count = 0
        if not count:
            self._cache = None
        del self.cached[count:]

    def check_fit(self, prompt_tokens: int, new_tokens: int) -> None:
        """Raises DataError for an empty prompt."""
        stepwise.check_fit(self.folder, prompt_tokens)

    def _render(self, chat: Chat) -> str:
        return prompts.render(self.chat_template, chat, self.tokenizer.special_tokens_map)

    def _read(self, chats: Sequence[Chat]) -> dict[str, Any]:
        """The model's inputs for chats of words."""
        ids, mask = self._left_padded([self.encode(chat) for chat in chats])
        return {"input_ids": ids, "attention_mask": mask}

    def _seen(self, chats: Sequence[Chat]) -> dict[str, Any]:
        """The model's inputs for chats with pictures. Raises ModelError when the model has no eyes."""
        if self._eyes is None:
            raise ModelError(f"{self.folder}: reads text only; set agent.pictures to none, or take a model with eyes")
        return {name: value.to(self.model.device) for name, value in self._eyes.look(chats, self._render).items()}

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

    def _generation(self, answer: list[int], prompt_tokens: int, steps: list[float]) -> Generation:
        last = steps[min(len(answer), len(steps) - 1)]
        return Generation(self.decode(answer), len(answer), prompt_tokens, steps[0], last)


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

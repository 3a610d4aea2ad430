"""A policy behind an endpoint: its weights handed over by name, its answers with their tokens and log-probabilities.

The protocol is vLLM's: adapters by `load_lora_adapter`, each then a model of its own name, so that what answers is
known; `return_token_ids` and `logprobs` beside OpenAI's chat completions. An endpoint that tells no tokens is believed
by its text, which is read into tokens again, and nothing is known of their log-probabilities then.
"""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.answering.endpoint import Endpoint, sent
from zoo.errors import ModelError
from zoo.serving import Chat

__all__ = ["ServedPolicy", "Spoken"]

_GO_ON = "serve the policy again and run the same command: training goes on from its last checkpoint"


@dataclass(frozen=True)
class Spoken:
    """One answer in tokens."""

    token_ids: tuple[int, ...]
    """With its stop token, unless it was cut off."""
    log_probabilities: tuple[float, ...]
    """Of the tokens, as the endpoint sampled them; NaN where it did not say."""


@dataclass
class ServedPolicy:
    """The adapters of one run at an endpoint. Answers may be asked for by several threads, weights by none meanwhile.

    Everything raises ModelError when the endpoint refuses, is away or answers as another model.
    """

    endpoint: Endpoint
    folder: Path
    """Which the endpoint reads too, under the same path."""
    run: str
    """A word that tells this run's adapters from those of others."""
    tokenizer: Any
    stops: Sequence[int]
    version: int | None = None
    """The step whose weights it serves; None before the first hand-over."""

    def hand_over(self, step: int, write: Callable[[Path], None]) -> None:
        """Have it serve the weights of a step, which `write` writes as a peft adapter; those before are let go."""
        before, path = self.version, self._path(step)
        part = path.with_name(f"{path.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        write(part)
        shutil.rmtree(path, ignore_errors=True)
        part.replace(path)
        try:
            self._post("/load_lora_adapter", {"lora_name": path.name, "lora_path": str(path)})
        except ModelError:
            shutil.rmtree(path)
            raise
        self.version = step
        if before is not None and before != step:
            self._let_go(before)

    def close(self) -> None:
        """Let go of the last weights too; an endpoint that is away by now is left alone."""
        if self.version is not None:
            version, self.version = self.version, None
            try:
                self._let_go(version, sleep=lambda seconds: None)
            except ModelError:
                shutil.rmtree(self._path(version), ignore_errors=True)

    def speak(self, chat: Chat, prompt_ids: Sequence[int], tokens: int, temperature: float, seed: int) -> Spoken:
        """An answer by chance to a chat, whose prompt is known to be these tokens."""
        assert self.version is not None, "weights are handed over before anything is asked"
        name = self._path(self.version).name
        body = {
            "model": name, "messages": sent(chat), "max_tokens": tokens, "temperature": temperature, "seed": seed,
            "logprobs": True, "return_token_ids": True,
        }  # fmt: skip
        data = self._post("/chat/completions", body)
        try:
            choice = data["choices"][0]
            served, rendered = data.get("model"), data.get("prompt_token_ids")
            spoken = self._spoken(choice, tokens)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ModelError(f"{self.endpoint.url}: answers, but not as chat completions do: {error!r}") from error
        if served != name:
            raise ModelError(
                f"{self.endpoint.url}: answers as {served!r}, and {name!r} was asked: it does not serve the current "
                "weights; serve the model with `recipes serve --adapters`, or with vLLM and --enable-lora"
            )
        if rendered is not None and list(rendered) != list(prompt_ids):
            raise ModelError(
                f"{self.endpoint.url}: reads a chat as {len(rendered)} tokens that are not the stage's "
                f"{len(prompt_ids)}; serve the checkpoint that the stage begins with, with its own chat template"
            )
        return spoken

    def _spoken(self, choice: Mapping[str, Any], most: int) -> Spoken:
        told = [float(one["logprob"]) for one in (choice.get("logprobs") or {}).get("content") or ()]
        ids = choice.get("token_ids")
        if ids is None:
            text = choice["message"].get("content") or ""
            ids, told = self.tokenizer(text, add_special_tokens=False)["input_ids"][:most], []
        ids = [int(token) for token in ids]
        if choice.get("finish_reason") == "stop" and (not ids or ids[-1] not in self.stops):
            ids.append(self.stops[0])
        chances = told[: len(ids)] if len(told) >= len(ids) - 1 else []
        return Spoken(tuple(ids), (*chances, *[math.nan] * (len(ids) - len(chances))))

    def _let_go(self, version: int, **options: Any) -> None:
        path = self._path(version)
        self._post("/unload_lora_adapter", {"lora_name": path.name}, **options)
        shutil.rmtree(path, ignore_errors=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"policy-{self.run}-{step}"

    def _post(self, route: str, body: Mapping[str, Any], **options: Any) -> Any:
        """The answer's JSON, or its text where it is none: vLLM says in words that an adapter was loaded."""
        try:
            _, response = self.endpoint.post(route, body, **options)
        except ModelError as error:
            raise ModelError(f"{error}; {_GO_ON}") from error
        return response.json() if "json" in response.headers.get("content-type", "") else response.text

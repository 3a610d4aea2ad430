"""A checkpoint whose adapters come and go while it answers by chance: what a policy that learns is sampled from.

vLLM's protocol, as far as `zoo.answering.served` speaks it: `/v1/load_lora_adapter` and `/v1/unload_lora_adapter`,
each adapter a model of its own name, and chat completions with `logprobs` and `return_token_ids`, whose
log-probabilities are those that were sampled from. One answer at a time, text only, on loopback, and only for who has
the key, since an adapter is read from disk. For trying out and for small models: vLLM is fast.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from zoo.errors import DataError, ModelError
from zoo.serving.sampling import Noise
from zoo.serving.torch_runtime import TorchRuntime

__all__ = ["policy_application"]

_KEPT = 2
"""Adapters at once: the one that is asked and the one that takes its place. The oldest goes."""
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (None, 1), "stream": (None, False), "top_p": (None, 1, 1.0), "tools": (None, []), "stop": (None, []),
    "grammar": (None,), "guided_grammar": (None,), "guided_json": (None,), "structured_outputs": (None,),
    "response_format": (None, {"type": "text"}),
}  # fmt: skip
"""What may be said of an option that is not covered: nothing, or that it is off."""


def policy_application(runtime: TorchRuntime, name: str, adapters: Path, key: str) -> Starlette:
    """The app over a loaded checkpoint, which answers under `name`; adapters are read from within `adapters` alone."""
    server = _PolicyServer(runtime, name, adapters.resolve(), key)
    return Starlette(
        routes=[
            Route("/health", lambda _: JSONResponse({"status": "ok"})),
            Route("/v1/models", server.models),
            Route("/v1/chat/completions", server.chat, methods=["POST"]),
            Route("/v1/load_lora_adapter", server.load, methods=["POST"]),
            Route("/v1/unload_lora_adapter", server.unload, methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


class _PolicyServer:
    def __init__(self, runtime: TorchRuntime, name: str, folder: Path, key: str) -> None:
        self._runtime, self._name, self._folder, self._key = runtime, name, folder, key
        self._model: Any = runtime.model
        self._adapters: list[str] = []
        self._turn = asyncio.Lock()
        """A model answers one request at a time, and no weights change meanwhile."""

    async def models(self, request: Request) -> Response:
        """The checkpoint and its adapters."""
        head = {"object": "model", "created": 0, "owned_by": "edgezoo"}
        known = [{**head, "id": self._name, "parent": None}]
        known += [{**head, "id": adapter, "parent": self._name} for adapter in self._adapters]
        return JSONResponse({"object": "list", "data": known})

    async def chat(self, request: Request) -> Response:
        """One answer."""
        return await self._answered(request, self._spoken)

    async def load(self, request: Request) -> Response:
        """An adapter from disk; one of the same name gives way to it."""
        return await self._answered(request, self._loaded)

    async def unload(self, request: Request) -> Response:
        """An adapter that is needed no more."""
        return await self._answered(request, self._unloaded)

    async def _answered(self, request: Request, answer: Any) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            return _refusal(401, "this endpoint wants its key: Authorization: Bearer ...")
        try:
            body = json.loads(await request.body())
            async with self._turn:
                response: Response = await run_in_threadpool(answer, body)
            return response
        except (DataError, ModelError) as error:
            return _refusal(400, str(error))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _refusal(400, f"not a request of this endpoint: {error!r}")

    def _loaded(self, body: Mapping[str, Any]) -> Response:
        from peft import PeftModel

        name, path = str(body["lora_name"]), Path(str(body["lora_path"])).resolve()
        if not path.is_relative_to(self._folder) or name == self._name:
            return _refusal(400, f"an adapter of another name, from within {self._folder.name}, is what is loaded here")
        missing = [file for file in ("adapter_config.json", "adapter_model.safetensors") if not (path / file).is_file()]
        if missing:
            return _refusal(404, f"{path.name} has no {' and no '.join(missing)}")
        if name in self._adapters:
            self._drop(name)
        if self._model is self._runtime.model:
            self._model = PeftModel.from_pretrained(self._runtime.model, path, adapter_name=name)
        else:
            self._model.load_adapter(path, adapter_name=name)
        self._model.eval()
        self._adapters.append(name)
        for old in self._adapters[:-_KEPT]:
            self._drop(old)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    def _unloaded(self, body: Mapping[str, Any]) -> Response:
        name = str(body["lora_name"])
        if name not in self._adapters:
            return _refusal(404, f"there is no adapter {name!r}")
        self._drop(name)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")

    def _drop(self, name: str) -> None:
        self._adapters.remove(name)
        if not self._adapters:  # a model without any adapter is no peft model any more
            self._model = self._model.unload()
            del self._runtime.model.peft_config
            return
        self._model.set_adapter(self._adapters[-1])
        self._model.delete_adapter(name)

    def _spoken(self, body: Mapping[str, Any]) -> Response:
        wanted = str(body.get("model") or self._name)
        if wanted != self._name and wanted not in self._adapters:
            return _refusal(404, f"there is no model {wanted!r} here")
        for option, neutral in _NEUTRAL.items():
            if body.get(option) not in neutral:
                return _refusal(400, f"{option}: {body[option]!r} is not covered here; leave it out")
        prompt = self._runtime.encode(body["messages"])
        most = int(body.get("max_completion_tokens") or body.get("max_tokens") or 0)
        temperature = float(body.get("temperature", 1.0))
        if most < 1:
            return _refusal(400, "say how many tokens an answer may have: max_tokens")
        ids, chances = self._drawn(wanted, prompt, most, temperature, str(body.get("seed", uuid4().hex)))
        return JSONResponse(self._completion(body, wanted, prompt, ids, chances))

    def _drawn(
        self, name: str, prompt: list[int], most: int, temperature: float, seed: str
    ) -> tuple[list[int], list[float]]:
        """Tokens with the stop token, and the logarithm of each one's chance."""
        import torch

        draw = _Draw(temperature, seed)
        ids = torch.tensor([prompt], device=self._runtime.model.device)
        with torch.inference_mode(), self._weights_of(name):
            output = self._model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, logits_processor=[draw]
            )
        found = output[0, len(prompt) :].tolist()
        return found, draw.chances[: len(found)]

    def _weights_of(self, name: str) -> Any:
        from contextlib import nullcontext

        if name == self._name:
            return self._model.disable_adapter() if self._adapters else nullcontext()
        self._model.set_adapter(name)
        return nullcontext()

    def _completion(
        self, body: Mapping[str, Any], name: str, prompt: list[int], ids: list[int], chances: list[float]
    ) -> dict[str, Any]:
        stopped = bool(ids) and self._runtime.is_stop(ids[-1])
        text = self._runtime.decode(ids[:-1] if stopped else ids)
        choice: dict[str, Any] = {
            "index": 0, "message": {"role": "assistant", "content": text},
            "finish_reason": "stop" if stopped else "length",
        }  # fmt: skip
        if body.get("logprobs"):
            pairs = zip(ids, chances, strict=True)
            choice["logprobs"] = {
                "content": [{"token": self._runtime.decode([token]), "logprob": chance} for token, chance in pairs]
            }
        told: dict[str, Any] = {}
        if body.get("return_token_ids"):
            choice["token_ids"], told["prompt_token_ids"] = ids, prompt
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(ids), "total_tokens": len(prompt) + len(ids)}
        head = {"id": f"chatcmpl-{uuid4().hex}", "object": "chat.completion", "created": int(time.time())}
        return {**head, "model": name, "choices": [choice], "usage": usage, **told}


class _Draw:
    """A logits processor for greedy `generate`: draws by a noise of its own, and keeps each token's log-probability."""

    def __init__(self, temperature: float, seed: str) -> None:
        self._temperature = temperature or 1.0
        self._noise = Noise(temperature, seed) if temperature else None
        self.chances: list[float] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        row = scores[0].float()
        drawn = torch.from_numpy(self._noise(row.cpu().numpy())).to(row.device) if self._noise else row
        self.chances.append(float((row / self._temperature).log_softmax(-1)[drawn.argmax()]))
        return drawn.unsqueeze(0)


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, status)

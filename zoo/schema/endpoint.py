"""A model that answers behind an OpenAI-compatible endpoint, as a recipe names it."""

from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SerializationInfo, SerializerFunctionWrapHandler, model_serializer, model_validator

from zoo.schema.settings import IDENTITY, Settings

__all__ = ["EndpointSpec", "PolicyEndpointSpec"]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HOW = (
    "key_variable", "parallel", "requests_per_minute", "prompt_price", "answer_price", "answer_seconds", "folder",
)  # fmt: skip


class EndpointSpec(Settings):
    """Where a model answers. What it answers cannot be made again: a key holds its address, its name and how it was
    asked, not its weights. How fast it is asked, with which key and at what price is not part of any key."""

    url: str
    """Up to and with `/v1`, as OpenAI's clients take it."""
    model: str = Field(min_length=1)
    """What the endpoint calls the model."""
    key_variable: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """The environment variable that holds the API key, for example OPENAI_API_KEY. Without it, none is sent. The key
    itself is read when it is needed and never written."""
    parallel: int = Field(4, ge=1, le=64)
    """Requests under way at once."""
    requests_per_minute: float | None = Field(None, gt=0)
    """At most so many, evenly spaced. A server that asks for a pause is given it in any case."""
    answer_seconds: float = Field(120.0, gt=0)
    """How long one answer may take before it is asked for again."""
    prompt_price: float | None = Field(None, ge=0)
    """What a million tokens of prompts cost, in the currency of the bill; with it, the record says what was spent."""
    answer_price: float | None = Field(None, ge=0)
    """What a million tokens of answers cost."""

    @property
    def host(self) -> str:
        """Host and port: all that is told of the address."""
        return urlsplit(self.url).netloc

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.url!r} is no address of an endpoint; write http://host:port/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("an address holds no secret; name the variable of the key as key_variable")
        if self.key_variable and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError(f"the key of {self.key_variable} would travel in the clear; write https://{parts.netloc}")
        return self

    @model_serializer(mode="wrap")
    def _identity(self, write: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """For a key, without what changes no answer: otherwise a slower pace would be paid for with new answers."""
        plain: dict[str, Any] = write(self)
        if info.context == IDENTITY:
            return {name: value for name, value in plain.items() if name not in _HOW}
        return plain


class PolicyEndpointSpec(EndpointSpec):
    """An endpoint that answers for the policy while it learns: `recipes serve --adapters`, or vLLM with
    VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 and `--enable-lora --logprobs-mode processed_logprobs`.

    It holds the weights that the stage begins with, under the name `model`. The stage writes its adapter into `folder`
    and has it loaded by name; every request asks for that name, so that no answer comes from other weights unnoticed.
    """

    folder: str = Field(min_length=1)
    """Where adapters are written for the endpoint to read: a folder that both see under the same path."""
    sync_steps: int = Field(1, ge=1)
    """Optimizer steps between two hand-overs. What lags behind is corrected by truncated importance weights
    (`trl.vllm_importance_sampling_mode`, token_truncate here, and `trl.vllm_importance_sampling_clip_max`)."""
    asynchronous: bool = False
    """Whether the next batch is acted while this one is learned: its weights then lag one batch behind, and its tasks
    are drawn by the seed in place of the dataset's order. Needs an endpoint that tells log-probabilities."""
    strange_nats: float = Field(0.5, gt=0)
    """When the endpoint has just been given the weights and its log-probabilities are further than this from the
    stage's own, on the mean over a batch's tokens, it serves something else and the stage stops."""

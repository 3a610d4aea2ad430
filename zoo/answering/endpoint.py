"""An OpenAI-compatible endpoint: chats in, answers with their cost out, several at a time, patient with busy servers.

A pause that a server asks for (`Retry-After`) is kept by all threads; requests may be limited to so many a minute.
The key is read from the environment when it is needed and is neither kept, logged nor written; no other credential of
this machine is sent. A constrained agent is kept to its grammar by `response_format` with a JSON Schema.
"""

import os
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from zoo.answering.models import Ask, Numbers, numbers_of
from zoo.answering.pace import Pace
from zoo.dialects import dialect_of
from zoo.environments.pictures import as_png
from zoo.errors import EnvironmentFailure, ModelError
from zoo.schema import AgentSpec, EndpointSpec
from zoo.serving import Chat, Generation

__all__ = ["Endpoint", "answered", "ask_endpoint", "endpoint_of", "sent"]

_TRIES = 5
_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 300.0
"""A server that asks for more is out of quota rather than busy."""
_SHOWN_CHARACTERS = 300
_OK = 200
_BUSY = frozenset({408, 409, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers."""

    url: str
    """Up to and with `/v1`, as OpenAI's clients take it."""
    model: str
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; unset, none is sent."""
    parallel: int = 4
    answer_seconds: float = 120.0
    """How long one answer may take."""
    pace: Pace = field(default_factory=Pace, repr=False, compare=False)

    def complete(
        self,
        chat: Chat,
        tokens: int,
        schema: Mapping[str, Any] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        *,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> Generation:
        """One answer, greedy unless there is a temperature. A busy server is asked again, with pauses of 1, 2, 4 and
        8 s, or as long as it says.

        Raises ModelError when the server refuses, is not there, stays busy, or speaks another protocol.
        """
        started, response = self.post("/chat/completions", self._body(chat, tokens, schema, temperature, seed), sleep)
        return self._generation(response, time.perf_counter() - started)

    def post(
        self, route: str, body: Mapping[str, Any], sleep: Callable[[float], None] = time.sleep
    ) -> tuple[float, Any]:
        """When the request that was answered was sent (of `time.perf_counter`), and its response, of status 200.

        Raises ModelError as `complete` does.
        """
        import httpx2

        wait = _FIRST_WAIT_SECONDS
        for attempt in range(1, _TRIES + 1):
            self.pace.wait(sleep)
            started = time.perf_counter()
            try:
                response = self._post(route, body)
            except httpx2.HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if response.status_code == _OK:
                    return started, response
                problem = f"status {response.status_code}: {response.text[:_SHOWN_CHARACTERS]}"
                if response.status_code not in _BUSY:
                    raise ModelError(f"{self.url}: refuses model {self.model!r}: {problem}")
                self._keep_pause(response)
            if attempt < _TRIES:
                sleep(wait)
                wait *= 2
        raise ModelError(f"{self.url}: no answer after {_TRIES} tries: {problem}")

    def _body(
        self, chat: Chat, tokens: int, schema: Mapping[str, Any] | None, temperature: float, seed: int | None
    ) -> dict[str, Any]:
        body = {"model": self.model, "messages": sent(chat), "max_tokens": tokens, "temperature": temperature}
        if seed is not None:
            body["seed"] = seed
        if schema is not None:
            described = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": described}
        return body

    @cached_property
    def _client(self) -> Any:
        """One for all requests: to make one costs more than a short answer on loopback."""
        import httpx2

        return httpx2.Client(timeout=self.answer_seconds)

    def get(self, route: str) -> Any:
        """The response to a plain question, asked once. Raises `httpx2.HTTPError` when nobody is there."""
        return self._client.get(f"{self.url.rstrip('/')}{route}", headers=self._headers())

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self.key_variable)
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _post(self, route: str, body: Mapping[str, Any]) -> Any:
        """The plain request. The Hub's own client rewrites a schema for another kind of server, and would send the
        Hub's token to whoever is asked."""
        return self._client.post(f"{self.url.rstrip('/')}{route}", json=body, headers=self._headers())

    def _keep_pause(self, response: Any) -> None:
        """Hold all threads for as long as the server asks. Raises ModelError when that is too long to wait."""
        seconds = _pause_seconds(response.headers.get("Retry-After", ""))
        if seconds > _LONGEST_WAIT_SECONDS:
            raise ModelError(
                f"{self.url}: asks to wait {seconds:.0f} s; run the same command again then, it goes on from here"
            )
        self.pace.hold(seconds)

    def _generation(self, response: Any, seconds: float) -> Generation:
        """`first_token_seconds` is the whole time: what is not streamed has no first token."""
        try:
            data = response.json()
            text = data["choices"][0]["message"].get("content") or ""
            usage = data.get("usage") or {}
            spent = int(usage.get("completion_tokens", 0)), int(usage.get("prompt_tokens", 0))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            shown = response.text[:_SHOWN_CHARACTERS]
            raise ModelError(f"{self.url}: answers, but not as OpenAI's chat completions do: {shown!r}") from error
        return Generation(str(text), spent[0], spent[1], seconds, seconds)


def endpoint_of(spec: EndpointSpec) -> Endpoint:
    """The endpoint that a recipe names."""
    pace = Pace(spec.requests_per_minute)
    return Endpoint(spec.url, spec.model, spec.key_variable or "", spec.parallel, spec.answer_seconds, pace)


def _pause_seconds(said: str) -> float:
    """`Retry-After`, in seconds or as a date (RFC 9110, 10.2.3); 0 for what is neither."""
    if said.strip().isdecimal():
        return float(said)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


def ask_endpoint(spec: AgentSpec, endpoint: Endpoint) -> Ask:
    """An endpoint as a model, `endpoint.parallel` chats at a time.

    Raises EnvironmentFailure when its URL is none.
    """
    if not endpoint.url.startswith(("http://", "https://")):
        raise EnvironmentFailure(f"{endpoint.url}: no endpoint; write http://host:port/v1")

    def one(chat: Chat, shown: Sequence[int]) -> Generation:
        return answered(spec, chat, shown, endpoint.complete)

    def ask(chats: Sequence[Chat], numbers: Numbers | None = None) -> list[Generation]:
        with ThreadPoolExecutor(endpoint.parallel) as pool:
            return list(pool.map(one, chats, numbers_of(chats, numbers)))

    return ask


def answered(spec: AgentSpec, chat: Chat, shown: Sequence[int], complete: Callable[..., Generation]) -> Generation:
    """An agent's answer by `complete(chat, tokens, schema)`; a constrained agent is kept to the schema of the numbers
    that it is shown."""
    if not spec.constrained:
        return complete(chat, spec.answer_tokens)
    dialect = dialect_of(spec.world)
    said = complete(chat, spec.answer_tokens, dialect.schema(shown))
    return replace(said, text=dialect.read_data(said.text))


def sent(chat: Chat) -> list[dict[str, Any]]:
    """A chat as OpenAI's protocol has it: a picture is a PNG in a data URL."""
    return [_sent(message) for message in chat]


def _sent(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return dict(message)
    return {**message, "content": [_sent_part(part) for part in content]}


def _sent_part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] != "image":
        return dict(part)
    data = b64encode(as_png(part["image"])).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}

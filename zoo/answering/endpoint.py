"""An OpenAI-compatible endpoint: chats in, answers with their cost out, several at a time, patient with busy servers.

The key is read from the environment when it is needed and is neither kept, logged nor written; no other credential of
this machine is sent. A constrained agent is kept to its grammar by `response_format` with a JSON Schema.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from zoo.action_grammar import answer_schema, numbers_on, read_data
from zoo.agent import Chat
from zoo.answering.models import Ask
from zoo.errors import EnvironmentFailure, ModelError
from zoo.schema import AgentSpec
from zoo.serving import Generation

__all__ = ["Endpoint", "ask_endpoint"]

_TRIES = 5
_FIRST_WAIT_SECONDS = 1.0
_ANSWER_SECONDS = 120.0
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

    def complete(
        self,
        chat: Chat,
        tokens: int,
        schema: Mapping[str, Any] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Generation:
        """One answer, greedy. A busy server is asked again, with pauses of 1, 2, 4 and 8 s.

        Raises ModelError when the server refuses, is not there, stays busy, or speaks another protocol.
        """
        import httpx2

        wait = _FIRST_WAIT_SECONDS
        for attempt in range(1, _TRIES + 1):
            started = time.perf_counter()
            try:
                response = self._post(chat, tokens, schema)
            except httpx2.HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if response.status_code == _OK:
                    return self._generation(response, time.perf_counter() - started)
                problem = f"status {response.status_code}: {response.text[:_SHOWN_CHARACTERS]}"
                if response.status_code not in _BUSY:
                    raise ModelError(f"{self.url}: refuses model {self.model!r}: {problem}")
            if attempt < _TRIES:
                sleep(wait)
                wait *= 2
        raise ModelError(f"{self.url}: no answer after {_TRIES} tries: {problem}")

    def _post(self, chat: Chat, tokens: int, schema: Mapping[str, Any] | None) -> Any:
        """The plain request. The Hub's own client rewrites a schema for another kind of server, and would send the
        Hub's token to whoever is asked."""
        import httpx2

        body: dict[str, Any] = {"model": self.model, "messages": chat, "max_tokens": tokens, "temperature": 0}
        if schema is not None:
            described = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": described}
        key = os.environ.get(self.key_variable)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"{self.url.rstrip('/')}/chat/completions"
        return httpx2.post(url, json=body, headers=headers, timeout=_ANSWER_SECONDS)

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


def ask_endpoint(spec: AgentSpec, endpoint: Endpoint) -> Ask:
    """An endpoint as a model, `endpoint.parallel` chats at a time.

    Raises EnvironmentFailure when its URL is none.
    """
    if not endpoint.url.startswith(("http://", "https://")):
        raise EnvironmentFailure(f"{endpoint.url}: no endpoint; write http://host:port/v1")

    def one(chat: Chat) -> Generation:
        if not spec.constrained:
            return endpoint.complete(chat, spec.answer_tokens)
        said = endpoint.complete(chat, spec.answer_tokens, answer_schema(numbers_on(chat[-1]["content"])))
        text = read_data(said.text)
        return Generation(text, said.tokens, said.prompt_tokens, said.first_token_seconds, said.seconds)

    def ask(chats: Sequence[Chat]) -> list[Generation]:
        with ThreadPoolExecutor(endpoint.parallel) as pool:
            return list(pool.map(one, chats))

    return ask

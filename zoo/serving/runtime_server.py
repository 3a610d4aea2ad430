"""Any runtime behind OpenAI's chat endpoint: `/v1/models`, `/v1/chat/completions`, streamed or not.

For checkpoints and ONNX graphs; a GGUF file is served by llama.cpp's own server. One request at a time, greedy answers,
text only, kept to a grammar where one is sent: `grammar` or `guided_grammar` (GBNF), `response_format` with a JSON
Schema or `guided_json`. What is asked for and not covered (a temperature, tools, several answers, logprobs) is refused
and not ignored.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from zoo.errors import DataError, ModelError
from zoo.serving import gbnf
from zoo.serving.runtime import Runtime, Token
from zoo.serving.schema_grammar import schema_grammar

__all__ = ["application"]

_ANSWER_TOKENS = 512
"""When a request does not say how many."""
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "temperature": (None, 0, 0.0),
    "n": (None, 1),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "logprobs": (None, False),
    "stop": (None, []),
}
"""What may be said of an option that is not covered: nothing, or that it is off."""


@dataclass(frozen=True)
class _Wanted:
    messages: list[dict[str, Any]]
    most_tokens: int
    stream: bool
    usage: bool
    """Whether a streamed answer ends with what it cost (`stream_options.include_usage`)."""
    grammar: str | None


def application(runtime: Runtime, name: str) -> Starlette:
    """The app over a loaded model, which it answers for under `name`. Only a request for loopback is answered: a
    page of another site that points its own name here is not."""
    server = _Server(runtime, name)
    return Starlette(
        routes=[
            Route("/v1/models", server.models),
            Route("/v1/chat/completions", server.chat, methods=["POST"]),
            Route("/health", lambda _: JSONResponse({"status": "ok"})),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


class _Server:
    def __init__(self, runtime: Runtime, name: str) -> None:
        self._runtime, self._name = runtime, name
        self._turn = asyncio.Lock()
        """A runtime answers one request at a time."""

    async def models(self, request: Request) -> Response:
        """What can be asked."""
        model = {"id": self._name, "object": "model", "created": 0, "owned_by": "edgezoo"}
        return JSONResponse({"object": "list", "data": [model]})

    async def chat(self, request: Request) -> Response:
        """One answer, whole or token by token."""
        try:
            wanted = await _read(request)
            prompt_tokens = len(self._runtime.encode(wanted.messages))
        except (DataError, ModelError) as error:
            return JSONResponse({"error": {"message": str(error), "type": "invalid_request_error"}}, 400)
        head = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time()), "model": self._name}
        if wanted.stream:
            return StreamingResponse(self._events(wanted, head, prompt_tokens), media_type="text/event-stream")
        try:
            tokens = [token async for token in self._tokens(wanted)]
        except DataError as error:
            return JSONResponse({"error": {"message": str(error), "type": "invalid_request_error"}}, 400)
        return JSONResponse(_completion(head, tokens, prompt_tokens, wanted.most_tokens))

    async def _tokens(self, wanted: _Wanted) -> AsyncIterator[Token]:
        async with self._turn:
            async for token in iterate_in_threadpool(
                self._runtime.stream(wanted.messages, wanted.most_tokens, wanted.grammar)
            ):
                yield token

    async def _events(self, wanted: _Wanted, head: Mapping[str, Any], prompt_tokens: int) -> AsyncIterator[str]:
        yield _event(head, {"role": "assistant", "content": ""})
        count = 0
        try:
            async for token in self._tokens(wanted):
                count += 1
                if token.text:
                    yield _event(head, {"content": token.text})
        except DataError as error:
            # Too late for a status: the client is told inside the stream, as llama.cpp's server does.
            yield f"data: {json.dumps({'error': {'message': str(error), 'type': 'invalid_request_error'}})}\n\n"
            return
        yield _event(head, {}, "length" if count >= wanted.most_tokens else "stop")
        if wanted.usage:
            last = {**head, "object": "chat.completion.chunk", "choices": []}
            yield f"data: {json.dumps({**last, 'usage': _usage(prompt_tokens, min(count, wanted.most_tokens))})}\n\n"
        yield "data: [DONE]\n\n"


async def _read(request: Request) -> _Wanted:
    """Raises DataError for what is no request, or asks for what is not covered."""
    # A page of another site can post text here without asking, but JSON only if it were allowed to.
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise DataError("send the request as application/json")
    try:
        body = await request.json()
        messages = [{**message, "content": _text(message)} for message in body["messages"]]
        most = int(body.get("max_completion_tokens") or body.get("max_tokens") or _ANSWER_TOKENS)
        usage = bool((body.get("stream_options") or {}).get("include_usage"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a chat request: {error!r}; it needs messages: [{{role, content}}, ...]") from error
    for option, neutral in _NEUTRAL.items():
        if body.get(option) not in neutral:
            raise DataError(f"{option}: {body[option]!r} is not covered here: answers are greedy text; leave it out")
    if not messages or most < 1:
        raise DataError("a chat needs a message, and room for at least one token")
    return _Wanted(messages, most, bool(body.get("stream")), usage, _grammar(body))


def _grammar(body: Mapping[str, Any]) -> str | None:
    """The grammar that a request asks for, under any of its names. Raises DataError for one that does not read."""
    text = body.get("grammar") or body.get("guided_grammar")
    schema = body.get("guided_json")
    wanted = body.get("response_format") or {"type": "text"}
    try:
        if wanted["type"] == "json_schema":
            schema = wanted["json_schema"]["schema"]
        elif wanted["type"] != "text":
            raise DataError(f"response_format: {wanted['type']!r} is not covered; write json_schema or text")
    except (KeyError, TypeError) as error:
        raise DataError(f"response_format: not one of OpenAI's: {error!r}") from error
    if schema is not None:
        text = _schema_grammar(schema)
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise DataError("grammar: it must be a text in GBNF")
    gbnf.read(text)
    return text


def _schema_grammar(schema: Any) -> str:
    try:
        return schema_grammar(json.loads(schema) if isinstance(schema, str) else schema)
    except ValueError as error:
        raise DataError(f"guided_json: no JSON: {error}") from error


def _text(message: Mapping[str, Any]) -> str:
    """Content as a text, or as OpenAI's parts, of which only texts are covered."""
    content = message["content"]
    if isinstance(content, list):
        if any(part.get("type") != "text" for part in content):
            raise ValueError("only text parts are covered")
        return "".join(part["text"] for part in content)
    return str(content)


def _event(head: Mapping[str, Any], delta: Mapping[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish}
    return f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


def _completion(head: Mapping[str, Any], tokens: list[Token], prompt_tokens: int, most: int) -> dict[str, Any]:
    text = "".join(token.text for token in tokens)
    count = min(len(tokens), most)  # the rest of a letter that is not whole is told behind the last token
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "length" if count == most else "stop",
    }
    return {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(prompt_tokens, count)}


def _usage(prompt_tokens: int, count: int) -> dict[str, int]:
    return {"prompt_tokens": prompt_tokens, "completion_tokens": count, "total_tokens": prompt_tokens + count}

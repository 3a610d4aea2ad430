"""A stand-in that speaks OpenAI's chat completions over loopback, and keeps what it was asked; for tests.

It can also be busy (`Retry-After`), broken, slow, or speak something else.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

__all__ = ["Asked", "Reply", "serving"]

Asked = list[tuple[dict[str, str], dict[str, Any]]]
"""Headers (names in lower case) and body of every request."""


@dataclass(frozen=True)
class Reply:
    """An answer that is more than a text."""

    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """What is sent in place of a completion."""
    seconds: float = 0.0
    """How long it takes."""
    usage: bool = True
    """Whether it says how many tokens it was."""


@contextmanager
def serving(
    answer: Callable[[dict[str, Any]], "str | int | Reply"], routes: Collection[str] = ()
) -> Iterator[tuple[str, Asked]]:
    """The URL of a server whose answers are `answer(body)`: a text, the status of a failure, or a `Reply`.

    `routes`: where else than at chat completions it answers.
    """
    asked: Asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(({name.lower(): value for name, value in self.headers.items()}, body))
            said = answer(body) if self.path in ("/v1/chat/completions", *routes) else 404
            reply = Reply(status=said) if isinstance(said, int) else Reply(said) if isinstance(said, str) else said
            time.sleep(reply.seconds)
            payload = _payload(reply)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked may have given up waiting
                self.end_headers()
                self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()


def _payload(reply: Reply) -> bytes:
    if reply.raw is not None:
        return reply.raw
    if reply.status != 200:
        return json.dumps({"error": {"message": "no"}}).encode()
    data = _completion(reply.text)
    return json.dumps(data if reply.usage else {**data, "usage": None}).encode()


def _completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "stand-in",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
    }

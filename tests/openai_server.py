"""A stand-in that speaks OpenAI's chat completions over loopback, and keeps what it was asked; for tests."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

__all__ = ["Asked", "serving"]

Asked = list[tuple[dict[str, str], dict[str, Any]]]
"""Headers (names in lower case) and body of every request."""


@contextmanager
def serving(answer: Callable[[dict[str, Any]], str | int]) -> Iterator[tuple[str, Asked]]:
    """The URL of a server whose answers are `answer(body)`: a text, or the status of a failure."""
    asked: Asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(({name.lower(): value for name, value in self.headers.items()}, body))
            said = answer(body) if self.path == "/v1/chat/completions" else 404
            status, data = (said, {"error": {"message": "no"}}) if isinstance(said, int) else (200, _completion(said))
            payload = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
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

"""A Hub that fails on purpose, for tests: something around the application that spoils chosen requests.

Given as an argument (`running(root, wrap=Faults([...]))`), never by the environment: no server that somebody uses can
be switched into it. Connections are reset over uvicorn's transport, which ASGI itself gives no way to.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Fault", "Faults", "Seen"]

_ALIVE = "/api/local-hub"  # whether it has started is asked of every server, and is never spoilt


@dataclass(frozen=True)
class Fault:
    """What happens to the first `times` requests that fit."""

    do: Literal["delay", "answer", "reset-request", "reset-response", "truncate", "corrupt"]
    """`delay`: answer late. `answer`: with `status`, and the application never hears of it. `reset-request`: cut the
    connection after `after_bytes` of the request's body. `reset-response`, `truncate`: after `after_bytes` of the
    answer's body, brutally or in good order. `corrupt`: flip the answer's byte at `after_bytes`."""
    path: str = ""
    """A part of the path."""
    method: str = ""
    """Every method when empty."""
    times: int = 1
    status: int = 500
    retry_after: str = ""
    seconds: float = 0.0
    after_bytes: int = 0


@dataclass
class Seen:
    """A request as it passed by."""

    method: str
    path: str
    body_bytes: int = 0
    """Of the request, as far as they were read."""
    sent_bytes: int = 0
    """Of the answer."""
    fault: Fault | None = None


@dataclass
class Faults:
    """The wrapper; call it with the application. What passed by is in `seen`."""

    faults: Sequence[Fault] = ()
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = [fault.times for fault in self.faults]
        self._lock = threading.Lock()

    def __call__(self, app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            seen = self._note(scope["method"], scope["raw_path"].decode("ascii", "replace"))
            await _spoiled(app, scope, receive, send, seen)

        return wrapped

    def sent_up(self, path: str = "", method: str = "") -> int:
        """Bytes of bodies that came in with requests whose path has this part."""
        fitting = (seen for seen in self.seen if path in seen.path and method in ("", seen.method))
        return sum(seen.body_bytes for seen in fitting)

    def _note(self, method: str, path: str) -> Seen:
        with self._lock:
            seen = Seen(method, path)
            self.seen.append(seen)
            for place, fault in enumerate(self.faults):
                if path != _ALIVE and self._left[place] and fault.path in path and fault.method in ("", method):
                    self._left[place] -= 1
                    seen.fault = fault
                    break
            return seen


async def _spoiled(app: ASGIApp, scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    fault = seen.fault or Fault("delay")
    await asyncio.sleep(fault.seconds)
    transport = send.__self__.transport  # type: ignore[attr-defined]
    cut = asyncio.Event()

    async def heard() -> Message:
        message = await receive()
        seen.body_bytes += len(message.get("body", b""))
        if fault.do == "reset-request" and seen.body_bytes >= fault.after_bytes:
            _reset(transport)
            return {"type": "http.disconnect"}
        return message

    async def said(message: Message) -> None:
        body = message.get("body", b"")
        end = seen.sent_bytes + len(body)
        if message["type"] == "http.response.body" and not cut.is_set():
            if fault.do in ("reset-response", "truncate") and end > fault.after_bytes:
                await send({**message, "body": body[: fault.after_bytes - seen.sent_bytes], "more_body": True})
                await asyncio.sleep(0.05)  # let the client have what was sent: a reset would take it back
                _reset(transport) if fault.do == "reset-response" else transport.close()
                cut.set()
            elif fault.do == "corrupt" and seen.sent_bytes <= fault.after_bytes < end:
                message = {**message, "body": _flipped(body, fault.after_bytes - seen.sent_bytes)}
        seen.sent_bytes = end
        if not cut.is_set():
            await send(message)

    if fault.do == "answer":
        await _answer(fault, send)
    else:
        await app(scope, heard, said)


def _reset(transport: asyncio.Transport) -> None:
    """Close with a reset: without a linger of zero seconds, TCP ends in good order."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 0xFF]) + body[at + 1 :]


async def _answer(fault: Fault, send: Send) -> None:
    headers = [(b"content-length", b"0")]
    if fault.retry_after:
        headers.append((b"retry-after", fault.retry_after.encode()))
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})

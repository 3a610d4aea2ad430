"""The embedded Hub as a server on loopback: in the foreground for `recipes hub serve`, or in a thread for one run."""

import json
import os
import secrets
import shlex
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import uvicorn
from starlette.types import ASGIApp

from zoo.errors import HubError
from zoo.hub import Endpoint
from zoo.local_hub.app import HEAD_BYTES, LOOPBACK_NAMES, PAGE_ITEMS, PART_BYTES, application, open_hub
from zoo.local_hub.tokens import new_secret

__all__ = ["client_environment", "live", "running", "serve", "token_of"]

_ASK_SECONDS = 2.0
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0

Wrap = Callable[[ASGIApp], ASGIApp]


def _silent(line: str) -> None:
    """The log of whoever does not watch."""


def _as_it_is(app: ASGIApp) -> ASGIApp:
    """Nothing around the application."""
    return app


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """uvicorn ends in good order on SIGTERM, then raises it again: that would end the process before its note goes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def token_of(root: Path) -> str:
    """The root's token, made at first use; only its owner may read the file."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)  # private repositories are private on a shared machine too
    file = root / "token"
    part = root / f"token.{secrets.token_hex(8)}.part"
    if not file.exists():
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(new_secret())
        with suppress(FileExistsError):  # another process was faster, its token stands
            os.link(part, file)
        part.unlink()
    token = file.read_text("utf-8").strip()
    if len(token) < 16 or not token.isascii():
        raise HubError(f"{file}: holds no token. Delete the file; a new one is made.")
    return token


def client_environment(endpoint: Endpoint) -> dict[str, str]:
    """What other programs need in their environment to use this Hub. The last one: they would upload over Xet."""
    return {"HF_ENDPOINT": endpoint.url, "HF_TOKEN": endpoint.token or "", "HF_HUB_DISABLE_XET": "1"}


def serve(
    root: Path,
    port: int = 0,
    host: str = "127.0.0.1",
    log: Callable[[str], None] = _silent,
    part_bytes: int = PART_BYTES,
    wrap: Wrap = _as_it_is,
) -> None:
    """Serve a root until interrupted; `running` in other processes finds it in `<root>/server.json`.

    `log` is told when it listens, and the lines that other programs need in their shell. Port 0 takes a free one. Files
    above `part_bytes` are uploaded in parts. `wrap` puts something around the application, such as `faults.Faults`.

    Raises HubError when the port is taken or the folder cannot be used.
    """
    server, listening, instance = _prepare(root, port, host, part_bytes, PAGE_ITEMS, wrap)
    endpoint = _endpoint(listening, token_of(root))
    note = root / "server.json"
    _write_note(note, {"pid": os.getpid(), "url": endpoint.url, "instance": instance})
    try:
        log(f"Hub on {endpoint.url}, contents in {root}.")
        log(f"Its token is in {(root / 'token').resolve()}; give it as the password to see private ones.")
        log("For other programs:")
        for line in _exports(endpoint, root):
            log(line)
        with suppress(KeyboardInterrupt), _terminated_as_interrupted():
            server.run(sockets=[listening])
    finally:
        listening.close()
        if _read_note(note).get("instance") == instance:
            note.unlink(missing_ok=True)


@contextmanager
def running(
    root: Path,
    log: Callable[[str], None] = _silent,
    *,
    part_bytes: int = PART_BYTES,
    page_items: int = PAGE_ITEMS,
    wrap: Wrap | None = None,
) -> Iterator[Endpoint]:
    """An endpoint for the root: of a `serve` that runs on it, else of a server in a thread, stopped at the end.

    With `wrap`, what it puts around the application matters: the server is always one of this block's own.

    A thread's server is not recorded for others to find: they would lose it when this block ends. Any number of
    servers may work on one root at the same time, so they start their own.

    >>> with running(Path("hub")) as endpoint:  # doctest: +SKIP
    ...     print(endpoint.url)
    """
    if wrap is None and (found := live(root)):
        log(f"Hub on {found.url}, found running")
        yield found
        return
    server, listening, _ = _prepare(root, 0, "127.0.0.1", part_bytes, page_items, wrap or _as_it_is)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="embedded-hub", daemon=True)
    thread.start()
    try:
        endpoint = _endpoint(listening, token_of(root))
        _await_start(endpoint, thread)
        log(f"Hub on {endpoint.url}, contents in {root}")
        yield endpoint
    finally:
        server.should_exit = True
        thread.join(_STOP_SECONDS)


def _exports(endpoint: Endpoint, root: Path) -> list[str]:
    """Shell lines for other clients; the token is read from its file, so that no terminal or log shows it."""
    told = client_environment(endpoint) | {"HF_TOKEN": f"$(cat {shlex.quote(str(root.resolve() / 'token'))})"}
    return [f'export {name}="{value}"' for name, value in told.items()]


def live(root: Path) -> Endpoint | None:
    """The endpoint of a `serve` on this root, if its process still answers under the name that it noted down."""
    note = _read_note(root / "server.json")
    url = str(note.get("url", ""))
    if not url or _instance_at(url) != note.get("instance"):
        return None
    return Endpoint(url, token_of(root), embedded=True)


def _prepare(
    root: Path, port: int, host: str, part_bytes: int, page_items: int, wrap: Wrap
) -> tuple[uvicorn.Server, socket.socket, str]:
    """A server, the socket that it will listen on, and the name of its instance."""
    try:
        hub = open_hub(root, token_of(root), part_bytes, page_items)
    except OSError as error:
        raise HubError(f"{root}: cannot be a Hub's folder: {error.strerror or error}. Choose another.") from error
    listening = _bind(host, port)
    names = LOOPBACK_NAMES if host in LOOPBACK_NAMES else ("*",)
    config = uvicorn.Config(
        wrap(application(hub, names)),
        http="h11",  # the one whose bound on the headers is ours to set
        h11_max_incomplete_event_size=HEAD_BYTES,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config), listening, hub.instance


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise HubError(f"{host}:{port}: cannot listen: {error}. Choose another port, or 0 for a free one.") from error
    listening.listen(128)
    return listening


def _endpoint(listening: socket.socket, token: str) -> Endpoint:
    host, port = listening.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return Endpoint(f"http://{name}:{port}", token, embedded=True)


def _await_start(endpoint: Endpoint, thread: threading.Thread) -> None:
    """The socket listens already, so one question waits until the thread answers it."""
    if not _instance_at(endpoint.url, _START_SECONDS):
        state = "is alive but does not answer" if thread.is_alive() else "has ended"
        raise HubError(f"{endpoint.url}: the embedded Hub did not start: its thread {state}.")


def _instance_at(url: str, seconds: float = _ASK_SECONDS) -> str | None:
    """The name of the instance that answers there. Asked without a token, and past any proxy."""
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/api/local-hub", timeout=seconds) as answer:
            return str(json.loads(answer.read(1000))["instance"])
    except (URLError, OSError, ValueError, KeyError, TypeError):
        return None


def _write_note(file: Path, note: dict[str, object]) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(note) + "\n", "utf-8")
    part.replace(file)


def _read_note(file: Path) -> dict[str, object]:
    """What is noted down; nothing when it cannot be read or was not written by us."""
    try:
        note = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}

"""llama.cpp's own server over one file: an OpenAI-compatible endpoint on loopback, from the prebuilt wheel.

`/v1/chat/completions` (streaming, tools, pictures, `grammar`, `json_schema`), `/v1/models`, and llama.cpp's
`/apply-template` and `/tokenize`: what its users are really given, rendered by its own Jinja. It runs in a process of
its own (`zoo.serving.llama_process`).
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from zoo.errors import EnvironmentFailure, ExportError
from zoo.formats import gguf_header
from zoo.serving import llama_library
from zoo.serving.llama_eyes import image_tokens

__all__ = ["ask", "llama_server"]

_SECONDS = 60.0


@contextmanager
def llama_server(
    file: Path,
    port: int = 0,
    threads: int = 1,
    context: int = 4096,
    name: str = "",
    log: bool = False,
    tower: Path | None = None,
) -> Iterator[str]:
    """Serve a file while the block runs; gives the address. Port 0 takes a free one. With a vision `tower` (`mmproj`),
    messages may hold pictures as `image_url`; llama.cpp brings them to size itself, within the tower's limits.

    Raises ExportError when the file does not load, EnvironmentFailure when the port is taken or the tested llama.cpp is
    not installed.
    """
    gguf_header.read(file)
    llama_library.shared_object()
    if port:
        _check_free(port)
    settings = {
        "file": str(file),
        "name": name or file.stem,
        "port": port,
        "threads": threads,
        "context": context,
        "tower": str(tower) if tower else None,
        "image_tokens": image_tokens(gguf_header.read(tower)) if tower else None,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo.serving.llama_process", json.dumps({**settings, "log": log})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield _address(process, file)
    finally:
        process.communicate()  # closes its standard input, and so ends it


def _address(process: "subprocess.Popen[str]", file: Path) -> str:
    """Where it listens."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ExportError(f"{file}: llama.cpp's server ended (exit status {process.wait()}); what it said is above")
    told = json.loads(line)
    if "error" in told:
        raise ExportError(f"{file}: llama.cpp does not serve it: {told['error']}")
    return str(told["address"])


def ask(address: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """One JSON request to a server of `llama_server`. Raises ExportError when it refuses, with its own words."""
    request = Request(f"{address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    try:
        # A proxy of the environment must not see, or fail, what stays on this machine.
        with build_opener(ProxyHandler({})).open(request, timeout=_SECONDS) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except HTTPError as error:
        raise ExportError(f"llama.cpp refuses {path}: {_reason(error)}") from error


def _reason(error: HTTPError) -> str:
    text = error.read().decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200] or str(error)


def _check_free(port: int) -> None:
    """llama.cpp does not say why it did not start."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise EnvironmentFailure(f"port {port}: {error.strerror}; take another with --port") from error

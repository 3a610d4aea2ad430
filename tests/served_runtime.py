"""A runtime behind our own server on loopback, in this process, as `recipes serve` puts it there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from zoo.serving import Runtime
from zoo.serving.runtime_server import application

__all__ = ["served"]


@contextmanager
def served(runtime: Runtime) -> Iterator[str]:
    """Serve it as `lively` while the block runs; gives the address."""
    config = uvicorn.Config(application(runtime, "lively"), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(5)

"""The embedded Hub as an ASGI application."""

import errno
import secrets
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from zoo.local_hub.blobs import Blobs
from zoo.local_hub.call import Hub
from zoo.local_hub.collection_routes import COLLECTION_ROUTES
from zoo.local_hub.collections import Collections
from zoo.local_hub.content_routes import CONTENT_ROUTES
from zoo.local_hub.discussion_routes import DISCUSSION_ROUTES
from zoo.local_hub.lfs_routes import LFS_ROUTES
from zoo.local_hub.page_routes import PAGE_ROUTES
from zoo.local_hub.protocol import refusal_response
from zoo.local_hub.refusal import Refused
from zoo.local_hub.repositories import Repositories
from zoo.local_hub.repository_routes import REPOSITORY_ROUTES
from zoo.local_hub.tokens import Tokens
from zoo.local_hub.xet_routes import XET_ROUTES

__all__ = ["HEAD_BYTES", "LOOPBACK_NAMES", "PAGE_ITEMS", "PART_BYTES", "application", "open_hub"]

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

HEAD_BYTES = 32 << 10
PART_BYTES = 256 << 20
PAGE_ITEMS = 1000


class _RawPath:
    """Routes on the path as it was sent: in a decoded one, the `/` of the branch `exp/a` would part segments."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["raw_path"].decode("ascii", "replace")}
        await self.app(scope, receive, send)


class _BoundedHead:
    """Refuses heads of requests above a bound. h11 has one too, but only for heads that come in several reads."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http":
            head = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
            if head + len(scope["raw_path"]) + len(scope["query_string"]) > HEAD_BYTES:
                app = JSONResponse({"error": f"The request's head is longer than {HEAD_BYTES} bytes."}, 431)
        await app(scope, receive, send)


def open_hub(root: Path, token: str, part_bytes: int = PART_BYTES, page_items: int = PAGE_ITEMS) -> Hub:
    """The stores under a root, made when there are none; what killed uploads and deleted repositories left goes."""
    repositories, blobs = Repositories(root), Blobs(root)
    blobs.sweep(repositories.used_contents())
    instance = secrets.token_hex(16)
    return Hub(root, repositories, blobs, Tokens(root), Collections(root), token, instance, part_bytes, page_items)


def application(hub: Hub, hosts: tuple[str, ...] = LOOPBACK_NAMES) -> Starlette:
    """The application. It answers only to the host names given: a web page that has its own name point to 127.0.0.1
    (DNS rebinding) gets nothing."""
    app = Starlette(
        routes=[
            *COLLECTION_ROUTES,
            *REPOSITORY_ROUTES,
            *DISCUSSION_ROUTES,
            *XET_ROUTES,
            *CONTENT_ROUTES,
            *LFS_ROUTES,
            *PAGE_ROUTES,
        ],
        middleware=[
            Middleware(_BoundedHead),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts)),
            Middleware(_RawPath),
        ],
        exception_handlers={
            Refused: _refused,
            HTTPException: _unknown,
            OSError: _disk,
            ClientDisconnect: _gone,
        },
    )
    app.state.hub = hub
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal_response(error)


async def _unknown(request: Request, error: Exception) -> Response:
    """A call that this Hub does not speak, or a repository without an owner, such as `gpt2`: those it cannot have."""
    assert isinstance(error, HTTPException)
    segments = request.url.path.strip("/").split("/")
    of_api = segments[0] == "api" and segments[1:2] in (["models"], ["datasets"], ["spaces"])
    in_api = of_api and (len(segments) == 3 or segments[3:4] in (["revision"], ["tree"], ["paths-info"]))
    code = "RepoNotFound" if in_api or "resolve" in segments[1:3] else ""
    message = f"The embedded Hub does not know {request.method} {request.url.path}."
    return refusal_response(Refused(error.status_code, message, code))


async def _disk(request: Request, error: Exception) -> Response:
    """A full disk is the user's to mend; any other failure of the file system is a bug and keeps its traceback."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return JSONResponse({"error": "The disk of the embedded Hub is full."}, 507)
    raise error


async def _gone(request: Request, error: Exception) -> Response:
    """The client left in the middle of its upload; nobody reads this answer."""
    return Response(status_code=499)

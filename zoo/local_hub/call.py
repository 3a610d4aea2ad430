"""One request as the routes see it: names checked, body bounded, token compared."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zoo.local_hub.blobs import Blobs
from zoo.local_hub.collections import Collections
from zoo.local_hub.names import Kind, kind, repository
from zoo.local_hub.refusal import Refused, repository_not_found
from zoo.local_hub.repositories import Repositories
from zoo.local_hub.state import Commit, Repository
from zoo.local_hub.tokens import OWNER, Token, Tokens

__all__ = ["USER", "Call", "Hub", "bounded_body", "chunks", "json_object", "lines", "open_call", "route", "text_of"]

USER = "edgezoo"
_KINDS_OF_PATH = {"models": "model", "datasets": "dataset", "spaces": "space"}

_BODY_BYTES = 8 << 20
_COMMIT_BYTES = 4 << 30
_IDLE_SECONDS = 120.0


@dataclass(frozen=True)
class Hub:
    """What the routes work on."""

    root: Path
    repositories: Repositories
    blobs: Blobs
    tokens: Tokens
    collections: Collections
    token: str
    """The owner's, which may do everything."""
    instance: str
    """Names this server process, so that a port that another program took over is not mistaken for it."""
    part_bytes: int
    """Files above this size are uploaded in parts of it."""
    page_items: int = 1000
    """The longest list that one answer holds; the rest is behind its `Link` header."""

    def who(self, secret: str) -> Token | None:
        """Whose token a text is; compared in constant time with each there is."""
        if hmac.compare_digest(secret.encode("utf-8", "surrogateescape"), self.token.encode()):
            return Token(OWNER, "write", "")
        return self.tokens.find(secret)


@dataclass(frozen=True)
class Call:
    """A request to a route. Values of the path are unquoted."""

    hub: Hub
    request: Request
    body: bytes = b""

    def part(self, name: str) -> str:
        """A named part of the path; huggingface_hub quotes a revision's slashes, hence the raw path."""
        return unquote(str(self.request.path_params[name]))

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    @property
    def base(self) -> str:
        """`http://127.0.0.1:PORT`, as the client wrote it."""
        return str(self.request.base_url).rstrip("/")

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body.

        Raises Refused (400) unless it is a JSON object.
        """
        return json_object(self.body)

    def form(self, key: str) -> list[str]:
        """The values of a key in a form-encoded or JSON body."""
        if "json" in self.request.headers.get("content-type", ""):
            value = self.json.get(key, [])
            return [str(item) for item in value] if isinstance(value, list) else [str(value)]
        return parse_qs(self.body.decode("utf-8", "replace")).get(key, [])

    def text(self, key: str, default: str | None = None) -> str:
        """A text of the body."""
        return text_of(self.json, key, default)

    @cached_property
    def caller(self) -> Token | None:
        """Whose token was sent; None without one.

        Raises Refused (401) for a wrong one, also where none is needed: the caller believes to be somebody.
        """
        authorization = self.request.headers.get("authorization", "")
        if not authorization:
            return None
        scheme, _, secret = authorization.partition(" ")
        found = self.hub.who(secret) if scheme.lower() == "bearer" else None
        if found is None:
            raise Refused(401, "Invalid credentials in Authorization header")
        return found

    @property
    def authenticated(self) -> bool:
        """Whether a token was sent. Raises Refused (401) for a wrong one."""
        return self.caller is not None

    def require_token(self) -> Token:
        """The caller's token. Raises Refused (401) without one."""
        if self.caller is None:
            raise Refused(401, "This needs the Hub's token: set HF_TOKEN to what the file `token` in its folder holds.")
        return self.caller

    def require_write(self) -> None:
        """Raises Refused (401) without a token, (403) for one that may only read."""
        token = self.require_token()
        if token.role != "write":
            raise Refused(403, f"The token {token.name!r} may only read; changing anything needs one that may write.")

    @property
    def kind(self) -> Kind:
        """The kind that the path names; without one it is a model.

        Raises Refused (404) for the Hub's other things: collections, buckets, discussions, ...
        """
        plural = str(self.request.path_params.get("kinds", "models"))
        if plural not in _KINDS_OF_PATH:
            raise Refused(404, f"The embedded Hub does not know {self.request.method} {self.request.url.path}.")
        return kind(_KINDS_OF_PATH[plural])

    @property
    def name(self) -> str:
        return f"{self.part('owner')}/{self.part('name')}"

    def repository(self) -> Repository:
        """The repository that the path names.

        Raises Refused (404), also for a private one without the token: its existence is private too.
        """
        known = self.authenticated
        found = self.hub.repositories.get(self.kind, self.name)
        if found.private and not known:
            raise repository_not_found(self.kind, self.name)
        return found

    def require_access(self, found: Repository) -> None:
        """Raises Refused (401) for the files of a gated repository when no token was sent.

        There are no terms to accept here: whoever was given a token of this Hub may read what is gated.
        """
        if found.gated and not self.authenticated:
            raise Refused(401, f"Access to {found.kind} {found.name} is gated: it needs a token.", "GatedRepo")

    def commit(self, found: Repository, default: str = "main") -> Commit:
        """The commit that the path names."""
        revision = self.part("revision") if "revision" in self.request.path_params else default
        return self.hub.repositories.resolve(found, revision)

    def writable(self) -> Repository:
        """The repository, for a caller that may change it."""
        self.require_write()
        return self.repository()

    def named_in_body(self) -> tuple[Kind, str]:
        """`type`, `organization` and `name` of a body that creates or deletes."""
        owner = self.json.get("organization") or USER
        return kind(self.text("type", "model")), repository(str(owner), self.text("name"))


def json_object(body: bytes) -> dict[str, Any]:
    """Raises Refused (400) unless the text is a JSON object."""
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refused(400, "The body is no JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "The body must be a JSON object.")
    return value


def text_of(value: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """A text of a JSON object; a missing or null one takes the default.

    Raises Refused (400) when it is no text or is missing without a default.
    """
    found = default if value.get(key) is None else value[key]
    if not isinstance(found, str) or any("\ud800" <= character <= "\udfff" for character in found):
        raise Refused(400, f"{key!r} must be text.")
    return found


async def chunks(request: Request, limit: int, idle_seconds: float = _IDLE_SECONDS) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises Refused (413) above the limit, before reading more of it, (408) when nothing comes for a while: a body
    without an end would hold its connection for ever.
    """
    seen = 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise Refused(408, f"Nothing of the body came for {idle_seconds:.0f} seconds.") from None
        if chunk is None:
            return
        seen += len(chunk)
        if seen > limit:
            raise Refused(413, f"The body is longer than the {limit} bytes that this call may have.")
        yield chunk


async def bounded_body(request: Request, limit: int = _BODY_BYTES) -> bytes:
    """The whole body.

    Raises Refused (413, 408) like `chunks`.
    """
    body = bytearray()
    async for chunk in chunks(request, limit):
        body += chunk
    return bytes(body)


async def lines(request: Request, longest: int) -> AsyncIterator[bytes]:
    """The body line by line, so that a commit of many files is never in memory at once.

    Raises Refused (413) for a line above `longest` bytes, and like `chunks`.
    """
    rest = bytearray()
    async for chunk in chunks(request, _COMMIT_BYTES):
        *ended, begun = chunk.split(b"\n")
        for end in ended:
            if line := bytes(rest) + end:
                yield line
            rest.clear()
        rest += begun
        if len(rest) > longest:
            raise Refused(413, f"One line of the commit is longer than {longest} bytes: upload that file over LFS.")
    if rest:
        yield bytes(rest)


def open_call(request: Request, body: bytes = b"") -> Call:
    """The call of a request, for routes that stream their bodies."""
    return Call(request.app.state.hub, request, body)


def route(methods: str, path: str, handler: Callable[[Call], Response]) -> Route:
    """A route whose handler runs in a worker thread, since it reads SQLite and files."""

    async def endpoint(request: Request) -> Response:
        body = b"" if request.method in ("GET", "HEAD") else await bounded_body(request)
        return await run_in_threadpool(handler, open_call(request, body))

    return Route(path, endpoint, methods=methods.split())

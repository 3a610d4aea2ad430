"""Routes of Git LFS's batch protocol: `basic`, one PUT a file, and the Hub's `multipart` for the large ones.

huggingface_hub sends no token with the PUTs, so each address that the batch hands out carries a signature over the
content's digest, its size and an expiry. Sources: git-lfs `docs/api/batch.md`; huggingface_hub `lfs.py`.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zoo.local_hub.call import Call, chunks, open_call, route
from zoo.local_hub.names import sha256
from zoo.local_hub.refusal import Refused

__all__ = ["LFS_ROUTES"]

_LIFE_SECONDS = 24 * 3600
_WRITE_BYTES = 1 << 20
_MOST_OBJECTS = 1000


def _signature(call: Call, action: str, oid: str, size: int, upload: str, expires: int) -> str:
    message = f"{action}\n{oid}\n{size}\n{upload}\n{expires}".encode()
    return hmac.new(call.hub.token.encode(), message, hashlib.sha256).hexdigest()


def _address(call: Call, action: str, oid: str, size: int, upload: str = "") -> str:
    """An address that is good for one action on one content, for a day."""
    expires = int(time.time()) + _LIFE_SECONDS
    query = {"size": size, "upload": upload, "expires": expires}
    query["signature"] = _signature(call, action, oid, size, upload, expires)
    return f"{call.base}/_lfs/{oid}/{action}?{urlencode(query)}"


def _signed(call: Call, action: str) -> tuple[str, int, str]:
    """Digest, size and upload of a signed address.

    Raises Refused (403) for an address that no batch handed out, or that is over.
    """
    oid, upload = sha256(call.part("oid")), call.query.get("upload", "")
    size, expires = call.query.get("size", ""), call.query.get("expires", "")
    if not (size.isdecimal() and expires.isdecimal() and len(size + expires) < 40):
        raise Refused(403, "This upload address is incomplete.")
    wanted = _signature(call, action, oid, int(size), upload, int(expires))
    if not hmac.compare_digest(wanted.encode(), call.query.get("signature", "").encode()) or int(expires) < time.time():
        raise Refused(403, "This upload address is not, or no longer, valid: start the upload again.")
    return oid, int(size), upload


def _batch(call: Call) -> Response:
    call.writable()
    if call.json.get("operation") != "upload":
        raise Refused(400, "Downloads go over resolve/, the batch call is for uploads.")
    objects = call.json.get("objects")
    if not isinstance(objects, list) or len(objects) > _MOST_OBJECTS:
        raise Refused(400, f"'objects' must be a list of at most {_MOST_OBJECTS}.")
    shapes = [_object_shape(call, item) for item in objects]
    return JSONResponse({"transfer": "basic", "objects": shapes}, media_type="application/vnd.git-lfs+json")


def _object_shape(call: Call, item: object) -> dict[str, object]:
    """Where to upload one content; without `actions` when it is here already."""
    if not isinstance(item, dict) or not isinstance(item.get("size"), int) or item["size"] < 0:
        raise Refused(400, "An object must have 'oid' and 'size'.")
    oid, size = sha256(item.get("oid")), int(item["size"])
    shape: dict[str, object] = {"oid": oid, "size": size}
    if call.hub.blobs.size(oid) == size:
        call.hub.blobs.refresh(oid)
        return shape
    actions = {"upload": _upload_action(call, oid, size), "verify": {"href": _address(call, "verify", oid, size)}}
    return shape | {"authenticated": True, "actions": actions}


def _upload_action(call: Call, oid: str, size: int) -> dict[str, object]:
    step = call.hub.part_bytes
    if size <= step:
        return {"href": _address(call, "content", oid, size), "header": {}}
    upload = f"{oid[:12]}-{secrets.token_hex(8)}"
    header = {"chunk_size": str(step)}
    for number in range(-(-size // step)):
        header[str(number + 1)] = _address(call, f"part-{number}", oid, size, upload)
    return {"href": _address(call, "join", oid, size, upload), "header": header}


async def _stream(request: Request, write: Callable[[bytes], object], limit: int) -> None:
    """Hand the body on in pieces of a megabyte, in a worker thread.

    Raises Refused (413, 408) like `chunks`.
    """
    pending = bytearray()
    async for chunk in chunks(request, limit):
        pending += chunk
        if len(pending) >= _WRITE_BYTES:
            await run_in_threadpool(write, bytes(pending))
            pending.clear()
    if pending:
        await run_in_threadpool(write, bytes(pending))


async def _put_content(request: Request) -> Response:
    call = open_call(request)
    oid, size, _ = _signed(call, "content")
    with call.hub.blobs.receive(oid, size) as incoming:
        await _stream(request, incoming.write, size + 1)
        await run_in_threadpool(incoming.keep)
    return Response()


async def _put_part(request: Request) -> Response:
    """One part, written at its place in the file of its upload; only the whole is checked, when they are joined."""
    call = open_call(request)
    number = int(call.part("number"))
    _, size, upload = _signed(call, f"part-{number}")
    start = number * call.hub.part_bytes
    part = _Part(call.hub.blobs.parts(upload), start, min(start + call.hub.part_bytes, size))
    try:
        await _stream(request, part.write, call.hub.part_bytes + 1)
    finally:
        part.close()
    return Response(headers={"ETag": f'"{part.digest}"'})


class _Part:
    """A stretch of a file that is being put together."""

    def __init__(self, file: Path, start: int, end: int) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o644)
        self._at, self._end = start, end
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Raises Refused (422) when the part is longer than its stretch."""
        if self._at + len(chunk) > self._end:
            raise Refused(422, "This part is longer than the part size of the upload.")
        rest = memoryview(chunk)
        while rest:
            written = os.pwrite(self._descriptor, rest, self._at)
            self._at += written
            rest = rest[written:]
        self._hash.update(chunk)

    def close(self) -> None:
        os.close(self._descriptor)


def _join(call: Call) -> Response:
    oid, size, upload = _signed(call, "join")
    call.hub.blobs.join(upload, oid, size)
    return JSONResponse({})


def _verify(call: Call) -> Response:
    oid, size, _ = _signed(call, "verify")
    if call.hub.blobs.size(oid) != size:
        raise Refused(404, f"The content {oid} is not here.")
    return JSONResponse({})


LFS_ROUTES: list[Route] = [
    route("POST", "/{owner}/{name}.git/info/lfs/objects/batch", _batch),
    route("POST", "/{kinds}/{owner}/{name}.git/info/lfs/objects/batch", _batch),
    Route("/_lfs/{oid}/content", _put_content, methods=["PUT"]),
    Route("/_lfs/{oid}/part-{number:int}", _put_part, methods=["PUT"]),
    route("POST", "/_lfs/{oid}/join", _join),
    route("POST", "/_lfs/{oid}/verify", _verify),
]

"""Routes about what is in a repository: listings, uploads' first and last step, downloads."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from zoo.local_hub import ignored, protocol
from zoo.local_hub.blobs import Blobs
from zoo.local_hub.call import Call, json_object, lines, open_call, route, text_of
from zoo.local_hub.names import file_path, sha256
from zoo.local_hub.paging import paged
from zoo.local_hub.refusal import Refused, entry_not_found
from zoo.local_hub.state import Commit, Entry, Repository
from zoo.local_hub.xet import Xet

__all__ = ["CONTENT_ROUTES"]

_LINE_BYTES = 24 << 20
_MOST_CHANGES = 25_000

Edit = Callable[[dict[str, Entry]], None]
Shape = dict[str, object]


class _Download(FileResponse):
    """A file with ranges. A megabyte a read: each read is a hop to another thread."""

    chunk_size = 1 << 20


def _tree(call: Call) -> Response:
    found = call.repository()
    commit = call.commit(found)
    folder = call.part("folder").strip("/") if "folder" in call.request.path_params else ""
    recursive = call.query.get("recursive", "").lower() in ("1", "true")
    shapes = protocol.tree_shapes(commit.files, folder, recursive)
    if folder and not shapes:
        raise entry_not_found(folder, commit.sha)
    expand = call.query.get("expand", "").lower() in ("1", "true")
    here = f"/api/{found.kind}s/{found.name}/tree/{commit.sha}" + (f"/{quote(folder)}" if folder else "")
    return paged(call, shapes, lambda page: _expanded(call, found, commit, page) if expand else list(page), here)


def _paths(call: Call) -> Response:
    found = call.repository()
    commit = call.commit(found)
    shapes = protocol.path_shapes(commit.files, call.form("paths"))
    expand = call.form("expand")[:1] in (["1"], ["true"], ["True"])
    return JSONResponse(_expanded(call, found, commit, shapes) if expand else shapes)


def _expanded(call: Call, found: Repository, commit: Commit, shapes: Sequence[Shape]) -> list[Shape]:
    history = call.hub.repositories.history(found, commit.sha)
    return protocol.dated(shapes, protocol.last_changes(history, {str(shape["path"]) for shape in shapes}))


def _resolve(call: Call) -> Response:
    """A file's content. Large ones too: a redirect to this very origin would lose `X-Repo-Commit` on the way, since
    huggingface_hub follows it, and would then not be taken for a Hub's answer."""
    found = call.repository()
    commit = call.commit(found)
    call.require_access(found)
    path = call.part("path")
    entry = commit.files.get(path)
    if entry is None:
        raise entry_not_found(path, commit.sha)
    blob = call.hub.blobs.path(entry.sha256)
    if not blob.is_file():
        raise Refused(500, f"The content of {path!r} is missing on disk: {blob}.")
    headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{entry.oid}"', "X-Content-Type-Options": "nosniff"}
    if entry.large:
        etag = f'"{entry.sha256}"'
        headers |= {"ETag": etag, "X-Linked-Etag": etag, "X-Linked-Size": str(entry.size)}
    return _Download(blob, headers=headers, media_type="application/octet-stream")


def _preupload(call: Call) -> Response:
    """Which way each file goes, and the digest of what is there, so that the client skips what did not change."""
    found = call.writable()
    commit = call.commit(found)
    patterns = ignored.patterns(_gitignore(call, commit.files))
    given = call.json.get("files")
    if not isinstance(given, list) or not all(isinstance(file, dict) for file in given):
        raise Refused(400, "'files' must be a list of objects.")
    return JSONResponse({"files": [_upload_shape(file, commit.files, patterns) for file in given]})


def _gitignore(call: Call, files: Mapping[str, Entry]) -> str:
    """The `.gitignore` that is being uploaded, else the one that is there."""
    if call.json.get("gitIgnore") is not None:
        return call.text("gitIgnore")
    if entry := files.get(".gitignore"):
        return call.hub.blobs.path(entry.sha256).read_text("utf-8", "replace")
    return ""


def _upload_shape(
    file: dict[str, Any], files: Mapping[str, Entry], patterns: tuple[ignored.Pattern, ...]
) -> dict[str, object]:
    path, size = file_path(file.get("path")), file.get("size")
    if not isinstance(size, int) or size < 0:
        raise Refused(400, f"The size of {path!r} must be a number of bytes.")
    mode = protocol.upload_mode(path, size, _decoded(text_of(file, "sample", "")))
    shape = {"path": path, "uploadMode": mode, "shouldIgnore": ignored.is_ignored(path, patterns)}
    if (entry := files.get(path)) and entry.large == (mode == "lfs"):
        shape["oid"] = entry.sha256 if entry.large else entry.oid
    return shape


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "A file's content must be base64.") from None


async def _commit(request: Request) -> Response:
    """Newline-delimited JSON: a header, then a change a line; a small file is on disk before the next line is read."""
    call = open_call(request)
    found = await run_in_threadpool(call.writable)
    header: dict[str, Any] = {}
    edits: list[Edit] = []
    xet = Xet(call.hub.root)
    async for line in lines(request, _LINE_BYTES):
        item = await run_in_threadpool(json_object, line)
        value = item.get("value")
        if not isinstance(value, dict) or len(edits) >= _MOST_CHANGES:
            raise Refused(400, f"A commit is lines of key and value, at most {_MOST_CHANGES}.")
        if item.get("key") == "header":
            header = value
        else:
            edits.append(await run_in_threadpool(_edit, str(item.get("key")), value, call.hub.blobs, xet))

    def change(files: dict[str, Entry]) -> None:
        for edit in edits:
            edit(files)
        _refuse_clashes(files)

    def commit() -> Response:
        sha, pull = call.hub.repositories.commit(
            found,
            call.part("revision"),
            text_of(header, "summary"),
            text_of(header, "description", ""),
            change,
            text_of(header, "parentCommit", ""),
            pull=call.query.get("create_pr") == "1",
        )
        url = protocol.repository_url(call.base, found.kind, found.name)
        shape = {"success": True, "commitOid": sha, "commitUrl": f"{url}/commit/{sha}", "hookOutput": ""}
        return JSONResponse(shape | ({"pullRequestUrl": f"{url}/discussions/{pull}"} if pull else {}))

    return await run_in_threadpool(commit)


def _edit(key: str, value: dict[str, Any], blobs: Blobs, xet: Xet) -> Edit:
    """One line of a commit as an edit of the listing."""
    path = file_path(text_of(value, "path").rstrip("/") if key == "deletedFolder" else value.get("path"))
    if key == "file":
        content = _decoded(text_of(value, "content"))
        return _placing(path, protocol.small_entry(blobs.put(content), content))
    if key == "lfsFile":
        digest = sha256(value.get("oid"))
        size = blobs.size(digest)
        if size is None and xet.give(digest, blobs):
            size = blobs.size(digest)
        if size is None or value.get("size") not in (None, size):
            raise Refused(400, f"The large file {path!r} ({digest}) was not uploaded before the commit.")
        return _placing(path, protocol.large_entry(digest, size))
    if key == "deletedFile":
        return _deleting(path)
    if key == "deletedFolder":
        return _deleting_folder(path)
    raise Refused(400, f"The embedded Hub does not know the change {key!r}.")


def _placing(path: str, entry: Entry) -> Edit:
    return lambda files: files.update({path: entry})


def _deleting(path: str) -> Edit:
    def edit(files: dict[str, Entry]) -> None:
        if files.pop(path, None) is None:
            raise Refused(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")

    return edit


def _deleting_folder(path: str) -> Edit:
    def edit(files: dict[str, Entry]) -> None:
        for file in [file for file in files if file.startswith(path + "/")]:
            del files[file]

    return edit


def _refuse_clashes(files: Mapping[str, Entry]) -> None:
    """A path cannot be a file and a folder: nobody could check such a repository out."""
    for path in files:
        at = path.find("/")
        while at != -1:
            if path[:at] in files:
                raise Refused(400, f"{path[:at]!r} would be a file and, for {path!r}, a folder.")
            at = path.find("/", at + 1)


_REPOSITORY = "/api/{kinds}/{owner}/{name}"

CONTENT_ROUTES: list[Route] = [
    route("GET", _REPOSITORY + "/tree/{revision}", _tree),
    route("GET", _REPOSITORY + "/tree/{revision}/{folder:path}", _tree),
    route("POST", _REPOSITORY + "/paths-info/{revision}", _paths),
    route("POST", _REPOSITORY + "/preupload/{revision}", _preupload),
    Route(_REPOSITORY + "/commit/{revision}", _commit, methods=["POST"]),
    route("GET HEAD", "/{owner}/{name}/resolve/{revision}/{path:path}", _resolve),
    route("GET HEAD", "/{kinds}/{owner}/{name}/resolve/{revision}/{path:path}", _resolve),
]

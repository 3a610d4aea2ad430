"""A web page to look at what a Hub holds: lists repositories and files, renders cards; it changes nothing.

Private repositories are shown to a browser that gives a token as its password (`/login`). That way in is for reading
these pages alone: browsers send passwords along unasked, so no call that changes anything accepts one. A card is
anybody's text: see `zoo.cards.markdown`, and the Content-Security-Policy that lets no script run whatever got through.
"""

import base64
import binascii
import mimetypes
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from zoo.cards.markdown import as_html
from zoo.cards.page import STYLE
from zoo.local_hub.call import Call, route
from zoo.local_hub.front_matter import front_matter, metadata
from zoo.local_hub.names import KINDS, Kind
from zoo.local_hub.refusal import Refused, entry_not_found, repository_not_found
from zoo.local_hub.state import Commit, Repository

__all__ = ["PAGE_ROUTES"]

_MOST_CARD_BYTES = 1 << 20
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# A picture may be opened by itself, and an SVG is then a page that could hold a script.
_PICTURE_HEADERS = {**_HEADERS, "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}

_TEMPLATES = Environment(
    loader=PackageLoader("zoo.local_hub"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


@dataclass(frozen=True)
class _Row:
    """A repository in the list."""

    name: str
    address: str
    private: bool
    gated: bool
    files: int
    bytes: int
    changed: str


@dataclass(frozen=True)
class _File:
    """A file of a repository's page."""

    path: str
    address: str
    bytes: int


def _known(call: Call) -> bool:
    """Whether the browser gave a token as its password, under any user's name."""
    scheme, _, value = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        secret = base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return False
    return call.hub.who(secret) is not None


def _page(template: str, call: Call, **values: object) -> Response:
    html = _TEMPLATES.get_template(template).render(known=_known(call), style=Markup(STYLE), **values)  # noqa: S704
    return HTMLResponse(html, headers=_HEADERS)


def _login(call: Call) -> Response:
    if _known(call):
        return RedirectResponse("/", 303)
    ask = {"WWW-Authenticate": 'Basic realm="Embedded Hub: a token as the password", charset="UTF-8"'}
    return HTMLResponse("A token of this Hub is needed as the password.", 401, _HEADERS | ask)


def _list(call: Call) -> Response:
    plural = call.query.get("kind", "")
    kinds = [kind for kind in KINDS if plural in ("", f"{kind}s")]
    known = _known(call)
    rows = [
        _row(call, found) for kind in kinds for found in call.hub.repositories.all(kind) if known or not found.private
    ]
    title = plural if kinds and plural else "Repositories"
    return _page("list.html", call, title=title, rows=rows)


def _row(call: Call, found: Repository) -> _Row:
    commit = call.hub.repositories.resolve(found, "main")
    size = sum(entry.size for entry in commit.files.values())
    address = _address(found.kind, found.name)
    return _Row(found.name, address, found.private, bool(found.gated), len(commit.files), size, commit.date[:10])


def _address(kind: Kind, name: str) -> str:
    return f"/{name}" if kind == "model" else f"/{kind}s/{name}"


def _found(call: Call) -> Repository:
    found = call.hub.repositories.get(call.kind, call.name)
    if found.private and not _known(call):
        raise repository_not_found(found.kind, found.name)
    return found


def _repository(call: Call) -> Response:
    found = _found(call)
    revision = call.query.get("revision", "main")
    commit = call.hub.repositories.resolve(found, revision)
    here = _address(found.kind, found.name)
    known, card = _card(call, commit, here)
    return _page(
        "repository.html",
        call,
        title=found.name,
        name=found.name,
        kind=found.kind,
        private=found.private,
        gated=bool(found.gated),
        here=here,
        revision=revision,
        sha=commit.sha,
        changed=commit.date[:10],
        references=[ref.name for ref in call.hub.repositories.references(found)],
        metadata=list(known.items()),
        card=card,
        files=[
            _File(path, f"{here}/resolve/{commit.sha}/{quote(path)}", entry.size)
            for path, entry in sorted(commit.files.items())
        ],
    )


def _card(call: Call, commit: Commit, here: str) -> tuple[dict[str, object], Markup]:
    entry = commit.files.get("README.md")
    if entry is None or entry.size > _MOST_CARD_BYTES:
        return {}, Markup("<p>No card.</p>") if entry is None else Markup("<p>The card is too long to be shown.</p>")
    text = call.hub.blobs.path(entry.sha256).read_text("utf-8", "replace")
    with suppress(ValueError):  # a block that is no metadata is part of the text
        text = front_matter(text)[1]
    pictures, files = f"{here}/picture/{commit.sha}", f"{here}/resolve/{commit.sha}"
    html = as_html(text, lambda path: f"{pictures}/{path}", lambda path: f"{files}/{path}")
    return metadata(call.hub.blobs, commit), html


def _picture(call: Call) -> Response:
    """A picture of a card, with its type; anything else is only given as bytes, over `resolve`."""
    found = _found(call)
    if found.gated and not _known(call):
        raise Refused(401, f"Access to {found.name} is gated: it needs a token.", "GatedRepo")
    commit, path = call.commit(found), call.part("path")
    type = mimetypes.guess_type(path)[0]
    entry = commit.files.get(path)
    if entry is None or type not in _PICTURES:
        raise entry_not_found(path, commit.sha)
    return FileResponse(call.hub.blobs.path(entry.sha256), headers=_PICTURE_HEADERS, media_type=type)


PAGE_ROUTES: list[Route] = [
    route("GET", "/", _list),
    route("GET", "/login", _login),
    route("GET", "/{owner}/{name}", _repository),
    route("GET", "/{owner}/{name}/picture/{revision}/{path:path}", _picture),
    route("GET", "/{kinds}/{owner}/{name}", _repository),
    route("GET", "/{kinds}/{owner}/{name}/picture/{revision}/{path:path}", _picture),
]

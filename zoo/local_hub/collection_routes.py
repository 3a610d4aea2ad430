"""Routes about collections, in the shapes that huggingface_hub's collection methods read."""

from collections.abc import Callable
from dataclasses import replace

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zoo.local_hub import names
from zoo.local_hub.call import USER, Call, route
from zoo.local_hub.collections import Collection, Item
from zoo.local_hub.paging import paged
from zoo.local_hub.refusal import Refused

__all__ = ["COLLECTION_ROUTES"]

_LONGEST_TITLE = 60
_LONGEST_TEXT = 500


def _shape(collection: Collection) -> dict[str, object]:
    """With a position, which a list leaves out: the client numbers its collections itself."""
    return {**_listed_shape(collection), "position": 0}


def _listed_shape(collection: Collection) -> dict[str, object]:
    return {
        "slug": collection.slug,
        "title": collection.title,
        "description": collection.description,
        "owner": {"name": collection.owner, "type": "user"},
        "private": collection.private,
        "theme": collection.theme,
        "lastUpdated": collection.updated,
        "upvotes": 0,
        "items": [_item_shape(item, position) for position, item in enumerate(collection.items)],
    }


def _item_shape(item: Item, position: int) -> dict[str, object]:
    note = {"note": {"text": item.note}} if item.note else {}
    return {"_id": item.key, "id": item.id, "type": item.type, "position": position, **note}


def _slug(call: Call) -> str:
    return f"{call.part('owner')}/{call.part('slug')}"


def _text(call: Call, key: str, longest: int, default: str | None = None) -> str:
    text = call.text(key, default)
    if len(text) > longest:
        raise Refused(400, f"{key!r} has {len(text)} characters, at most {longest} are kept.")
    return text


def _create(call: Call) -> Response:
    call.require_write()
    owner, title = call.text("namespace", USER), _text(call, "title", _LONGEST_TITLE).strip()
    names.repository(owner, "x")
    if not title:
        raise Refused(400, "A collection needs a title.")
    description = _text(call, "description", _LONGEST_TEXT, "")
    try:
        return JSONResponse(
            _shape(call.hub.collections.create(owner, title, description, bool(call.json.get("private"))))
        )
    except Refused as refused:
        if refused.status == 409:  # huggingface_hub reads the slug from here under exists_ok
            return JSONResponse({"error": refused.message, "slug": refused.existing}, 409)
        raise


def _visible(call: Call) -> Collection:
    known = call.authenticated
    found = call.hub.collections.get(_slug(call))
    if found.private and not known:
        raise Refused(404, f"This Hub has no collection {found.slug!r}, or your token does not open it.")
    return found


def _get(call: Call) -> Response:
    return JSONResponse(_shape(_visible(call)))


def _list(call: Call) -> Response:
    owner, item = call.query.get("owner", ""), call.query.get("item", "")
    wanted_type, _, wanted_id = item.partition("/")
    found = [
        collection
        for collection in call.hub.collections.all()
        if (call.authenticated or not collection.private)
        and (not owner or collection.owner == owner)
        and (not item or any((f"{i.type}s", i.id) == (wanted_type, wanted_id) for i in collection.items))
    ]
    return paged(call, found, lambda page: [_listed_shape(collection) for collection in page])


def _change(call: Call) -> Response:
    call.require_write()

    def edit(old: Collection) -> Collection:
        private = call.json.get("private", old.private)
        return replace(
            old,
            title=_text(call, "title", _LONGEST_TITLE, old.title),
            description=_text(call, "description", _LONGEST_TEXT, old.description),
            theme=_text(call, "theme", _LONGEST_TITLE, old.theme),
            private=bool(private),
        )

    return JSONResponse({"data": _shape(call.hub.collections.change(_slug(call), edit))})


def _delete(call: Call) -> Response:
    call.require_write()
    call.hub.collections.delete(_slug(call))
    return JSONResponse({})


def _add_item(call: Call) -> Response:
    call.require_write()
    given = call.json.get("item")
    if not isinstance(given, dict):
        raise Refused(400, "'item' must be an object with 'id' and 'type'.")
    of_kind, name = names.kind(str(given.get("type"))), str(given.get("id"))
    call.hub.repositories.get(of_kind, name)
    return JSONResponse(
        _shape(call.hub.collections.add(_slug(call), name, of_kind, _text(call, "note", _LONGEST_TEXT, "")))
    )


def _on_item(change: Callable[[Call, list[Item], int], None]) -> Callable[[Call], Response]:
    """A handler that edits the list of entries at the one that the path names."""

    def handler(call: Call) -> Response:
        call.require_write()

        def edit(old: Collection) -> Collection:
            items, key = list(old.items), call.part("item")
            places = [place for place, item in enumerate(items) if item.key == key]
            if not places:
                raise Refused(404, f"{old.slug} has no entry {key!r}.")
            change(call, items, places[0])
            return replace(old, items=tuple(items))

        return JSONResponse({"success": True, "data": _shape(call.hub.collections.change(_slug(call), edit))})

    return handler


def _change_item(call: Call, items: list[Item], place: int) -> None:
    item = items.pop(place)
    position = call.json.get("position", place)
    if not isinstance(position, int) or not 0 <= position <= len(items):
        raise Refused(400, f"'position' must be 0 to {len(items)}.")
    items.insert(position, replace(item, note=_text(call, "note", _LONGEST_TEXT, item.note)))


def _delete_item(call: Call, items: list[Item], place: int) -> None:
    del items[place]


_COLLECTION = "/api/collections/{owner}/{slug}"

COLLECTION_ROUTES: list[Route] = [
    route("GET", "/api/collections", _list),
    route("POST", "/api/collections", _create),
    route("GET", _COLLECTION, _get),
    route("PATCH", _COLLECTION, _change),
    route("DELETE", _COLLECTION, _delete),
    route("POST", _COLLECTION + "/items", _add_item),
    route("PATCH", _COLLECTION + "/items/{item}", _on_item(_change_item)),
    route("DELETE", _COLLECTION + "/items/{item}", _on_item(_delete_item)),
]

"""Long lists in pages, with the next one behind a `Link` header, as huggingface_hub's `paginate` follows them."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from starlette.responses import JSONResponse

from zoo.local_hub.call import Call
from zoo.local_hub.refusal import Refused

__all__ = ["paged"]

T = TypeVar("T")


def paged(
    call: Call, items: Sequence[T], shapes: Callable[[Sequence[T]], list[dict[str, object]]], path: str = ""
) -> JSONResponse:
    """One page of a list as JSON. Only the page's items are given to `shapes`.

    `path`: where the next page is asked for, when not where this one was; a listing names the commit there, so that a
    push between two pages cannot mix two states.

    Raises Refused (400) for a cursor that no page handed out.
    """
    cursor, limit = call.query.get("cursor", "0"), call.query.get("limit", "")
    if not (cursor.isdecimal() and len(cursor) < 10):
        raise Refused(400, f"{cursor[:40]!r} is no cursor of this Hub.")
    count = min(int(limit) if limit.isdecimal() and limit.strip("0") else call.hub.page_items, call.hub.page_items)
    start, end = int(cursor), int(cursor) + count
    headers = {}
    if end < len(items):
        query = [(name, value) for name, value in call.request.query_params.multi_items() if name != "cursor"]
        address = f"{call.base}{path or call.request.url.path}?{urlencode([*query, ('cursor', str(end))])}"
        headers["Link"] = f'<{address}>; rel="next"'
    return JSONResponse(shapes(items[start:end]), headers=headers)

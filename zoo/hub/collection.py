"""Collections of a Hub: what ties the repositories of one publication together."""

import time
from collections.abc import Callable, Sequence

from zoo.errors import HubError
from zoo.hub.endpoint import Endpoint, Kind, api_of
from zoo.hub.failure import explained, persistently

__all__ = ["create_collection"]

_LONGEST_TITLE = 60


def create_collection(
    endpoint: Endpoint,
    title: str,
    items: Sequence[tuple[str, Kind]],
    private: bool,
    description: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Have a collection of this title hold the repositories (`owner/name`, kind); returns its slug.

    It belongs to the owner of the first one. One that exists is added to, and keeps what it has: `private` and
    `description` hold for a new one only.

    Raises HubError.
    """
    if not items:
        raise HubError(f"{endpoint}: a collection {title!r} needs one repository at least.")
    if not 0 < len(title) <= _LONGEST_TITLE:
        raise HubError(f"{endpoint}: the collection's title {title[:80]!r} must have 1 to {_LONGEST_TITLE} characters.")
    owner = items[0][0].partition("/")[0]

    def attempt() -> str:
        api = api_of(endpoint)
        found = api.create_collection(
            title, namespace=owner, private=private, description=description or None, exists_ok=True
        )
        there = {(item.item_id, item.item_type) for item in found.items}
        for repo, kind in items:
            if (repo, kind) not in there:
                api.add_collection_item(found.slug, item_id=repo, item_type=kind, exists_ok=True)
        return str(found.slug)

    with explained(endpoint, f"collection {title!r}"):
        return persistently(attempt, sleep)

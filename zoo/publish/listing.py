"""The index of the zoo on a Hub, brought up to date after a push.

Two runs that push within the same second may each read the index before the other wrote it; the entry that is lost then
is looked for after the write, and written again. Not covered: repositories that were deleted since.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from zoo import hub, index
from zoo.errors import HubError
from zoo.hub import Endpoint
from zoo.index import Entry
from zoo.publish import entry
from zoo.publish.pushing import Published
from zoo.refs import HubRef

__all__ = ["enter", "on_hub"]

_TRIES = 3
_CARD = """---
license: apache-2.0
pretty_name: The index of the zoo
tags: [edgezoo]
---

# The index of the zoo

`zoo.json`: one entry for each model that a recipe published on this Hub. `recipes zoo` prints it.
"""


def enter(folder: Path, published: Sequence[Published], endpoint: Endpoint) -> Entry:
    """Enter a publication that was just pushed into the index of its Hub, in place of an older entry of its repository.

    Raises HubError when the token may not write to the index; what was published is published all the same.
    """
    model = published[0]
    written = index.read_entry((folder / "model" / entry.NAME).read_text("utf-8"))
    new = replace(written, commit=model.commit)
    hub.check_rights(endpoint, index.REPOSITORY)
    for _ in range(_TRIES):
        _write(endpoint, index.with_entry(on_hub(endpoint), new), f"{new.repository} at {new.commit[:10]}")
        if new in on_hub(endpoint):
            return new
    raise HubError(f"{endpoint}: {index.REPOSITORY}: others write it at the same time; run the same command again")


def on_hub(endpoint: Endpoint) -> tuple[Entry, ...]:
    """The entries of a Hub's index; none where it has no index.

    Raises ZooError for an index that cannot be read, HubError when the Hub fails in between.
    """
    try:
        pinned = hub.pin(HubRef(index.REPOSITORY), "dataset", [endpoint])
    except HubError:
        return ()
    return index.parse(hub.fetch_file(pinned, index.FILE_NAME).read_text("utf-8"))


def _write(endpoint: Endpoint, entries: Sequence[Entry], message: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / index.FILE_NAME).write_text(index.text(entries), "utf-8")
        (folder / "README.md").write_text(_CARD, "utf-8")
        hub.upload(endpoint, index.REPOSITORY, "dataset", folder, message, private=False)

"""Other models of the zoo to compare this page's with: the recommended file of each that the Hub's index lists.

Asked for when a visitor wants them, so that a page opens without a Hub. Only GGUF files: every page can open those.
"""

import logging

from zoo import hub, index
from zoo.errors import ModelError, ZooError
from zoo.index import Entry
from zoo.refs import HubRef
from zoo.space import SpaceModel, SpaceSettings

__all__ = ["others"]

_MOST = 12
_NAME_CHARACTERS = 80
_LOG = logging.getLogger("space.models")


def others(settings: SpaceSettings) -> list[SpaceModel]:
    """What the index of the Hub lists beside this page's own model. Raises ModelError when it cannot be had."""
    try:
        pinned = hub.pin(HubRef(index.REPOSITORY), "dataset", [hub.public_endpoint()])
        entries = index.parse(hub.fetch_file(pinned, index.FILE_NAME).read_text("utf-8"))
    except (ZooError, OSError) as error:
        _LOG.warning("%s", error)
        raise ModelError("the Hub does not hand out the index of the zoo just now") from error
    found = [_model(entry) for entry in entries if entry.repository != settings.repository]
    return [model for model in found if model][:_MOST]


def _model(entry: Entry) -> SpaceModel | None:
    """The recommended file of an entry; None where there is none, or what is named is no plain file of a repository."""
    file = next((one for one in entry.files if one.name == entry.recommended), None)
    if entry.tiny or file is None or not file.name.endswith(".gguf") or "/" in file.name:
        return None
    return SpaceModel(
        name=f"{entry.name} {file.type}"[:_NAME_CHARACTERS], repository=file.repository, file=file.name,
        bytes=file.bytes, type=file.type.lower(), own=False,
    )  # fmt: skip

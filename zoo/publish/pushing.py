"""A publication brought to a Hub, repository by repository."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import fingerprint, hub
from zoo.errors import HubError
from zoo.hub import Endpoint, Kind, Pinned
from zoo.publish.layout import BRANCHES, CARD_DIGEST, FOLDERS, RECORDS_FOLDER
from zoo.refs import HubRef

__all__ = ["Published", "push"]


@dataclass(frozen=True)
class Published:
    """One repository as it now stands on a Hub."""

    repo: str
    kind: Kind
    url: str
    commit: str


def push(
    folder: Path,
    repo: str,
    endpoint: Endpoint,
    *,
    private: bool,
    message: str,
    overwrite: bool = False,
    tag: str = "",
    collection: str = "",
) -> list[Published]:
    """Bring a finished publication to a Hub, each repository in one commit; what is there already is not sent again.

    The checkpoint goes first, since the exports name it as what they were made of. Files of an earlier publication that
    this one lacks are removed: a stale `model.safetensors` would be loaded in place of new shards. That holds only for
    repositories that hold records of a run; in any other, nothing is touched. `tag` names the commits; `collection` is
    the title of one that ties the repositories together.

    Raises HubError for a Hub that refuses or does not answer, for a repository that holds something else, and, unless
    `overwrite`, for one whose card somebody edited since our last push, or whose `tag` stands for other files.
    """
    there = {place: facts for place, facts in FOLDERS.items() if (folder / place).is_dir()}
    # All are asked before the first is written, so that a refusal leaves no half publication.
    earlier = {}
    for place, (suffix, kind) in there.items():
        pinned = _earlier(repo + suffix, kind, endpoint)
        if pinned and not overwrite:
            _refuse_an_edited_card(pinned, folder / place)
        earlier[place] = pinned is not None
    published = []
    for place, (suffix, kind) in there.items():
        name = repo + suffix
        named = _naming(name, kind, endpoint, tag, overwrite)
        commit = hub.upload(endpoint, name, kind, folder / place, message, private, earlier[place], **named)
        published.append(Published(name, kind, _address(endpoint, kind, name), commit))
    for branch in sorted((folder / BRANCHES).glob("*")):
        hub.upload(endpoint, repo, "model", branch, message, private, True, branch=branch.name)
    if collection:
        tied = [(done.repo, done.kind) for done in published]
        hub.create_collection(endpoint, collection, tied, private)
    return published


def _naming(repo: str, kind: Kind, endpoint: Endpoint, tag: str, overwrite: bool) -> dict[str, Any]:
    """How an upload puts a tag: a new one may stand for whatever is sent, one that is there for what it has."""
    if not tag:
        return {}
    try:
        hub.pin(HubRef(repo, tag), kind, [endpoint])
    except HubError:
        return {"tag": tag}
    return {"tag": tag, "overwrite": overwrite}


def _address(endpoint: Endpoint, kind: Kind, name: str) -> str:
    return f"{endpoint.url.rstrip('/')}/{'' if kind == 'model' else f'{kind}s/'}{name}"


def _earlier(repo: str, kind: Kind, endpoint: Endpoint) -> Pinned | None:
    """The head of a repository that holds an earlier publication; None for one that is new or empty.

    Raises HubError when it holds anything else.
    """
    try:
        pinned = hub.pin(HubRef(repo), kind, [endpoint])
    except HubError:
        return None  # not there yet; a Hub that is down says so in the upload
    there = set(hub.files(pinned))
    if any(file.startswith(f"{RECORDS_FOLDER}/") for file in there):
        return pinned
    if foreign := sorted(there - {".gitattributes", "README.md"}):
        raise HubError(
            f"{endpoint}: {repo}: holds {foreign[0]} and no {RECORDS_FOLDER}/: no recipe made it, it is left alone. "
            "Publish to another name (--set publish.repo=owner/name), or delete that repository first."
        )
    return None


def _refuse_an_edited_card(pinned: Pinned, ours: Path) -> None:
    """A card is somebody's work as soon as it is not the one that the last push recorded. One that already says what
    ours would say is no loss; a repository from before digests were recorded is not asked."""
    there = hub.files(pinned)
    if "README.md" not in there or CARD_DIGEST not in there:
        return
    digest = fingerprint.of_file(hub.fetch_file(pinned, "README.md"))
    recorded = hub.fetch_file(pinned, CARD_DIGEST).read_text("utf-8").split()[0]
    if digest not in (recorded, fingerprint.of_file(ours / "README.md")):
        raise HubError(
            f"{pinned.endpoint}: {pinned.repo}: its README.md was edited since the last push, and is not written over. "
            "Take the edit into the recipe's summary or a template of cards/, or give it up with --overwrite."
        )

"""A publication brought to a Hub, repository by repository."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zoo import hub
from zoo.cards import merging
from zoo.errors import HubError
from zoo.hub import Endpoint, Kind, Pinned
from zoo.publish.layout import BRANCHES, FOLDERS, GENERATED_CARD, RECORDS_FOLDER
from zoo.refs import HubRef

__all__ = ["Published", "push"]

_CARD = "README.md"


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
    repositories that hold records of a run; in any other, nothing is touched. What somebody added to a card on the Hub
    goes into the new one (`zoo.cards.merging`). `tag` names the commits; `collection` is the title of one that ties
    the repositories together.

    Raises HubError for a Hub that refuses or does not answer, for a repository that holds something else, for one that
    somebody else writes at the same time, and, unless `overwrite`, for one whose card was edited so that it cannot be
    brought together with the new one, or whose `tag` stands for other files.
    """
    there = {place: facts for place, facts in FOLDERS.items() if (folder / place).is_dir()}
    # All are asked before the first is written, so that a refusal leaves no half publication.
    earlier = {place: _earlier(repo + suffix, kind, endpoint) for place, (suffix, kind) in there.items()}
    with TemporaryDirectory() as staging:
        cards = {} if overwrite else _merged_cards(earlier, folder, Path(staging))
        published = []
        for place, (suffix, kind) in there.items():
            name, before = repo + suffix, earlier[place]
            commit = hub.upload(
                endpoint,
                name,
                kind,
                folder / place,
                message,
                private,
                before is not None,
                instead={_CARD: cards[place]} if place in cards else {},
                # What was looked at is what is replaced: a card that is edited in between is not lost.
                parent_commit=before.commit if before and not overwrite else "",
                **_naming(name, kind, endpoint, tag, overwrite),
            )
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


def _merged_cards(earlier: Mapping[str, Pinned | None], folder: Path, staging: Path) -> dict[str, Path]:
    """Folder of the publication -> its card with what was added by hand on the Hub, for those that have such."""
    found = {}
    for place, pinned in earlier.items():
        if pinned and (text := _merged_card(pinned, folder / place)):
            found[place] = staging / f"{place}.md"
            found[place].write_text(text, "utf-8")
    return found


def _merged_card(pinned: Pinned, ours: Path) -> str | None:
    """None for a card that is as the last push generated it, or that says already what ours says."""
    there = hub.files(pinned)
    if _CARD not in there or GENERATED_CARD not in there:
        return None
    edited, generated = (hub.fetch_file(pinned, path).read_text("utf-8") for path in (_CARD, GENERATED_CARD))
    later = (ours / _CARD).read_text("utf-8")
    if edited in (generated, later):
        return None
    try:
        return merging.merge(generated, edited, later)
    except merging.Conflict as error:
        raise HubError(
            f"{pinned.endpoint}: {pinned.repo}: its README.md was edited since the last push, and is not written over: "
            f"{error}. Take the edit into the recipe's summary or a template of cards/, make it a paragraph of its own "
            "between the generated ones, or give it up with --overwrite."
        ) from error

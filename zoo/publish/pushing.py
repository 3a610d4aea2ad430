"""A publication brought to a Hub, repository by repository."""

from dataclasses import dataclass
from pathlib import Path

from zoo import hub
from zoo.errors import HubError
from zoo.hub import Endpoint, Kind
from zoo.publish.layout import GGUF_FOLDER, MODEL_FOLDER, RECORDS_FOLDER
from zoo.refs import HubRef

__all__ = ["Published", "push"]


@dataclass(frozen=True)
class Published:
    """One repository as it now stands on a Hub."""

    repo: str
    kind: Kind
    url: str
    commit: str


def push(folder: Path, repo: str, endpoint: Endpoint, *, private: bool, message: str) -> list[Published]:
    """Bring a finished publication to a Hub, each repository in one commit; what is there already is not sent again.

    The checkpoint goes first, since the exports name it as what they were made of. Files of an earlier publication that
    this one lacks are removed: a stale `model.safetensors` would be loaded in place of new shards. That holds only for
    repositories that hold records of a run; in any other, nothing is touched.

    Raises HubError for a Hub that refuses or does not answer, and for a repository that holds something else.
    """
    repositories = {repo: folder / MODEL_FOLDER}
    if (folder / GGUF_FOLDER).is_dir():
        repositories[f"{repo}-GGUF"] = folder / GGUF_FOLDER
    # All are asked before the first is written, so that a refusal leaves no half publication.
    earlier = {name: _holds_publication(name, endpoint) for name in repositories}
    published = []
    for name, content in repositories.items():
        commit = hub.upload(endpoint, name, "model", content, message, private, delete_others=earlier[name])
        published.append(Published(name, "model", f"{endpoint.url.rstrip('/')}/{name}", commit))
    return published


def _holds_publication(repo: str, endpoint: Endpoint) -> bool:
    """Whether a repository holds an earlier publication; False for one that is new or empty.

    Raises HubError when it holds anything else.
    """
    try:
        pinned = hub.pin(HubRef(repo), "model", [endpoint])
    except HubError:
        return False  # not there yet; a Hub that is down says so in the upload
    there = set(hub.files(pinned))
    if any(file.startswith(f"{RECORDS_FOLDER}/") for file in there):
        return True
    if foreign := sorted(there - {".gitattributes", "README.md"}):
        raise HubError(
            f"{endpoint}: {repo}: holds {foreign[0]} and no {RECORDS_FOLDER}/: no recipe made it, it is left alone. "
            "Publish to another name (--set publish.repo=owner/name), or delete that repository first."
        )
    return False

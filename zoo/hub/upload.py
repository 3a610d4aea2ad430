"""To a Hub: a folder as one commit of a repository."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from zoo.errors import HubError, did_you_mean
from zoo.hub.endpoint import Endpoint, Kind, api_of
from zoo.hub.failure import explained, persistently
from zoo.hub.quiet import quiet

if TYPE_CHECKING:
    from huggingface_hub import CommitOperation, HfApi

__all__ = ["check_rights", "upload"]

_XET_LOCK = RLock()


def check_rights(endpoint: Endpoint, repo: str) -> None:
    """Whether the token may write to `owner/name`, as far as the Hub tells; asked before hours of training.

    Raises HubError.
    """
    owner = repo.partition("/")[0]
    if not endpoint.token:
        raise HubError(f"{endpoint}: writing {repo} needs a token. Run `hf auth login`, or set HF_TOKEN.")
    with explained(endpoint, repo):
        me = api_of(endpoint).whoami()
    role = me.get("auth", {}).get("accessToken", {}).get("role", "")
    if role not in ("write", "fineGrained"):
        raise HubError(f"{endpoint}: the token's role is {role!r}, writing {repo} needs 'write'. Make another token.")
    owners = [me["name"], *(organisation["name"] for organisation in me.get("orgs", []))]
    if not endpoint.embedded and owner not in owners:
        hint = did_you_mean(owner, owners)
        raise HubError(f"{endpoint}: {me['name']} cannot write to {owner!r} of {repo}; {hint}")


def upload(
    endpoint: Endpoint,
    repo: str,
    kind: Kind,
    folder: Path,
    message: str,
    private: bool,
    delete_others: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Make a repository hold a folder's files, in one commit; returns the commit.

    Creates the repository where needed (`private` holds for a new one only; a Space is made for Gradio). When nothing
    changed there is no new commit, and the head is returned. `delete_others` removes what the folder does not have, but
    not `.gitattributes`, which is the Hub's. Rate limits, failures of the server and connections that break are tried
    again, with growing pauses; a try that had arrived after all is then recognised as "nothing changed".

    Raises HubError.
    """
    paths = _uploadable(folder)
    with explained(endpoint, repo), quiet(), _without_xet(endpoint):

        def attempt() -> str:
            api = api_of(endpoint)
            sdk = "gradio" if kind == "space" else None
            api.create_repo(repo, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk)
            operations = _operations(api, repo, kind, paths, delete_others)
            return str(api.create_commit(repo, operations, commit_message=message, repo_type=kind).oid)

        return persistently(attempt, sleep)


def _operations(
    api: "HfApi", repo: str, kind: Kind, paths: dict[str, Path], delete_others: bool
) -> "list[CommitOperation]":
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    there = set(api.list_repo_files(repo, repo_type=kind)) if delete_others else set()
    gone = sorted(there - paths.keys() - {".gitattributes"})
    return [
        *(CommitOperationDelete(path_in_repo=path, is_folder=False) for path in gone),
        *(CommitOperationAdd(path_in_repo=path, path_or_fileobj=file) for path, file in paths.items()),
    ]


def _uploadable(folder: Path) -> dict[str, Path]:
    """The folder's files by their path in the repository; without git's and the Hub's own folders.

    Raises HubError for a symbolic link, which could publish a file from elsewhere, and for a folder without files.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if {".git", ".cache"} & set(inside.parts):
            continue
        if path.is_symlink():
            raise HubError(f"{path}: is a symbolic link and is not uploaded. Put a copy of the file there.")
        if path.is_file():
            found[inside.as_posix()] = path
    if not found:
        raise HubError(f"{folder}: holds no file to upload.")
    return found


@contextmanager
def _without_xet(endpoint: Endpoint) -> Iterator[None]:
    """Uploads to the embedded Hub go over LFS.

    With hf_xet installed huggingface_hub knows no other way to say so than HF_HUB_DISABLE_XET, which it reads into this
    constant at import and asks at every upload. Setting the constant for the time of one upload leaves the user's
    environment, and uploads to the public Hub, as they are.
    """
    from huggingface_hub import constants

    if not endpoint.embedded:
        yield
        return
    with _XET_LOCK:
        before = constants.HF_HUB_DISABLE_XET
        constants.HF_HUB_DISABLE_XET = True
        try:
            yield
        finally:
            constants.HF_HUB_DISABLE_XET = before

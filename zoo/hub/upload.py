"""To a Hub: a folder as one commit of a repository."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from types import MappingProxyType
from typing import TYPE_CHECKING

from zoo.errors import HubError, did_you_mean
from zoo.hub.endpoint import Endpoint, Kind, api_of
from zoo.hub.failure import explained, persistently
from zoo.hub.quiet import quiet
from zoo.hub.target import Target, put_tag, require_unchanged

if TYPE_CHECKING:
    from huggingface_hub import CommitOperation

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
        make = f"recipes hub token add {role or 'mine'}-writes --role write" if endpoint.embedded else "hf auth login"
        raise HubError(
            f"{endpoint}: the token's role is {role!r}, writing {repo} needs 'write'. Make another token: {make}"
        )
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
    *,
    branch: str = "main",
    tag: str = "",
    parent_commit: str = "",
    overwrite: bool = True,
    instead: Mapping[str, Path] = MappingProxyType({}),
) -> str:
    """Make a branch of a repository hold a folder's files, in one commit; returns the commit.

    Creates the repository and the branch where needed (`private` holds for a new repository only; a Space is made for
    Gradio; a new branch starts where `main` is). When nothing changed there is no new commit, and the head is returned.
    `delete_others` removes what the folder does not have, but not `.gitattributes`, which is the Hub's. `tag` names the
    commit. `parent_commit`: refuse when the branch is elsewhere by now. `overwrite=False`: refuse, before anything is
    sent, to change or remove a file or to move a tag, also when somebody else pushes meanwhile. `instead`: path in the
    repository -> the file that goes there in place of the folder's own.

    Rate limits, failures of the server and connections that break are tried again, with growing pauses; a try that had
    arrived after all is then recognised as "nothing changed". Large files that are there are not sent again, whether
    this try, an earlier one or another repository brought them.

    Raises HubError.
    """
    paths = {**_uploadable(folder), **instead}
    with explained(endpoint, repo), quiet(), _without_xet(endpoint):

        def attempt() -> str:
            api = api_of(endpoint)
            sdk = "gradio" if kind == "space" else None
            # Asked first: where creating is forbidden (403) huggingface_hub stumbles over an endpoint of another name.
            if not api.repo_exists(repo, repo_type=kind):
                api.create_repo(repo, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk)
            if branch != "main":
                api.create_branch(repo, branch=branch, repo_type=kind, exist_ok=True)
            target = Target(api, repo, kind, branch)
            head = "" if overwrite else require_unchanged(target, paths, delete_others, tag)
            parent = parent_commit or head
            operations = _operations(target, paths, delete_others)
            commit = api.create_commit(
                repo,
                operations,
                commit_message=message,
                repo_type=kind,
                revision=branch,
                parent_commit=parent or None,
            )
            if tag:
                put_tag(target, tag, str(commit.oid))
            return str(commit.oid)

        return persistently(attempt, sleep)


def _operations(target: Target, paths: dict[str, Path], delete_others: bool) -> "list[CommitOperation]":
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    gone = sorted(target.files().keys() - paths.keys() - {".gitattributes"}) if delete_others else []
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

"""A branch that is about to be pushed to: what it holds, and whether a push would lose any of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import HubError
from zoo.hub.digest import is_content
from zoo.hub.endpoint import Kind

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

__all__ = ["Target", "digest_of", "put_tag", "require_unchanged"]

_OF_THE_HUB = frozenset({".gitattributes"})


@dataclass(frozen=True)
class Target:
    """A branch of a repository that exists."""

    api: "HfApi"
    repo: str
    kind: Kind
    branch: str

    def head(self) -> str:
        """The commit that it is at."""
        return str(self.api.repo_info(self.repo, repo_type=self.kind, revision=self.branch).sha)

    def files(self, revision: str = "") -> "dict[str, RepoFile]":
        """What it holds, by path."""
        from huggingface_hub.hf_api import RepoFile

        tree = self.api.list_repo_tree(self.repo, recursive=True, revision=revision or self.branch, repo_type=self.kind)
        return {item.path: item for item in tree if isinstance(item, RepoFile)}

    def tag(self, name: str) -> str:
        """The commit of a tag; empty when there is none."""
        tags = self.api.list_repo_refs(self.repo, repo_type=self.kind).tags
        return next((str(tag.target_commit) for tag in tags if tag.name == name), "")


def require_unchanged(target: Target, paths: Mapping[str, Path], delete_others: bool, tag: str) -> str:
    """The commit that a push must start from so that nothing published is lost.

    Raises HubError when the push would change or remove a file, or move a tag.
    """
    head = target.head()
    there = {path: item for path, item in target.files(head).items() if path not in _OF_THE_HUB}
    lost = sorted(path for path, item in there.items() if path in paths and not _same(paths[path], item))
    lost += sorted(there.keys() - paths.keys()) if delete_others else []
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise HubError(
            f"{target.api.endpoint}: {target.repo}@{target.branch}: holds {', '.join(lost[:3])}{more}, which this push "
            "would replace. Publish to another name or branch, or say --overwrite."
        )
    tagged = target.tag(tag) if tag else ""
    if tagged and (tagged != head or paths.keys() - there.keys() - _OF_THE_HUB):
        raise HubError(
            f"{target.api.endpoint}: {target.repo}: the tag {tag!r} names commit {tagged[:12]} already. Raise the "
            "recipe's version, or say --overwrite to move it."
        )
    return head


def put_tag(target: Target, name: str, commit: str) -> None:
    """Have a tag name a commit, whatever it named before."""
    before = target.tag(name)
    if before == commit:
        return
    if before:
        target.api.delete_tag(target.repo, tag=name, repo_type=target.kind)
    target.api.create_tag(target.repo, tag=name, revision=commit, repo_type=target.kind, exist_ok=True)


def _same(file: Path, item: "RepoFile") -> bool:
    if file.stat().st_size != item.size:
        return False
    return is_content(file, digest_of(item))


def digest_of(item: "RepoFile") -> str:
    """The digest that a commit records for a file: SHA-256 of a large one, git's SHA-1 of any other."""
    return str(item.lfs.sha256 if item.lfs else item.blob_id)

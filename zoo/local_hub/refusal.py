"""What the embedded Hub answers when it does not do what was asked."""

from dataclasses import dataclass

__all__ = ["Refused", "entry_not_found", "repository_not_found", "revision_not_found"]


@dataclass
class Refused(Exception):
    """An HTTP status with a sentence for the user and, where huggingface_hub has an exception for it, the Hub's code.

    The codes are the Hub's own `X-Error-Code` values: `RepoNotFound`, `RevisionNotFound`, `EntryNotFound`, `GatedRepo`.
    Over plain http huggingface_hub looks at nothing else to choose its exception.
    """

    status: int
    message: str
    code: str = ""
    commit: str = ""
    """For a file that a commit does not hold: that commit. The client then remembers the absence."""
    existing: str = ""
    """For a name that is taken: what has it."""

    def __str__(self) -> str:
        return self.message


def repository_not_found(kind: str, name: str) -> Refused:
    return Refused(404, f"This Hub has no {kind} {name!r}, or your token does not open it.", "RepoNotFound")


def revision_not_found(name: str, revision: str) -> Refused:
    return Refused(404, f"{name} has no branch, tag or commit {revision!r}.", "RevisionNotFound")


def entry_not_found(path: str, commit: str) -> Refused:
    return Refused(404, f"Commit {commit[:12]} has no file {path!r}.", "EntryNotFound", commit)

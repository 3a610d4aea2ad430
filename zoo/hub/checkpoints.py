"""A running stage's last checkpoint on a branch of its own, so that a fresh machine goes on where a dead one stopped.

A checkpoint holds what `torch.save` wrote (the optimizer's state, the random numbers'), which `fetch` keeps away
elsewhere. Here it comes along, since the run cannot go on without it, and since transformers reads it with
`weights_only=True`, which runs no code; give this only repositories that the user's own runs write to.
"""

import time
from collections.abc import Callable
from pathlib import Path

from zoo.hub.download import fetch, pin
from zoo.hub.endpoint import Endpoint
from zoo.hub.upload import upload
from zoo.refs import HubRef

__all__ = ["fetch_checkpoint", "upload_checkpoint"]


def upload_checkpoint(
    endpoint: Endpoint, repo: str, folder: Path, branch: str, sleep: Callable[[float], None] = time.sleep
) -> str:
    """Make a branch hold a checkpoint's folder and nothing else; returns the commit.

    In one commit: whoever fetches the branch gets a whole checkpoint, this one or the one before. A new repository is
    private. What the branch or another one has already is not sent again.

    Raises HubError.
    """
    return upload(
        endpoint,
        repo,
        "model",
        folder,
        f"Checkpoint {folder.name}",
        True,
        delete_others=True,
        sleep=sleep,
        branch=branch,
    )


def fetch_checkpoint(
    endpoint: Endpoint, repo: str, branch: str, destination: Path, sleep: Callable[[float], None] = time.sleep
) -> str:
    """Bring the checkpoint of a branch into a folder, every file checked; returns its commit.

    Raises HubError, also when the branch does not exist.
    """
    pinned = pin(HubRef(repo, branch), "model", [endpoint], sleep)
    fetch(pinned, destination, sleep=sleep, with_pickles=True)
    (destination / ".gitattributes").unlink(missing_ok=True)
    return pinned.commit

"""A Hub on loopback: the Hugging Face Hub's HTTP protocol over a folder, the embedded default.

Covered, with the unmodified clients (huggingface_hub, transformers, datasets, `hf`): models, datasets and Spaces;
private and gated repositories; tokens that may read or write; create, delete, move, settings; uploads (regular, LFS in
one piece and in parts, Xet from the same machine) as commits; branches, tags, pull requests as references; listings,
histories, collections; downloads with ranges; a page to look at it all. Not covered: downloads over Xet, pull requests
beyond listing them, running Spaces, and more than one user.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.local_hub.server import client_environment, live, running, serve, token_of

__all__ = ["client_environment", "live", "running", "serve", "token_of"]


def __getattr__(name: str) -> Any:
    """The server and its web framework are imported when they are asked for: a plan reads the folder, no more."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("zoo.local_hub.server"), name)

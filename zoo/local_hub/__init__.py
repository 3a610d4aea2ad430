"""A Hub on loopback: the Hugging Face Hub's HTTP protocol over a folder, the embedded default.

Covered, with the unmodified clients (huggingface_hub, transformers, datasets, `hf`): models, datasets and Spaces;
private and gated repositories; tokens that may read or write; create, delete, move, settings; uploads (regular, LFS in
one piece and in parts, Xet from the same machine) as commits; branches, tags, pull requests as references; listings,
histories, collections; downloads with ranges; a page to look at it all. Not covered: downloads over Xet, pull requests
beyond listing them, running Spaces, and more than one user.
"""

from zoo.local_hub.server import client_environment, live, running, serve, token_of

__all__ = ["client_environment", "live", "running", "serve", "token_of"]

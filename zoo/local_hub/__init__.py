"""A Hub on loopback: the Hugging Face Hub's HTTP protocol over a folder, the embedded default.

Covered, with the unmodified clients (huggingface_hub, transformers, datasets, `hf`): models, datasets and Spaces; a
token; create, delete, move, settings; uploads (regular, LFS in one piece and in parts) as commits; branches, tags, pull
requests as references; listings, histories, downloads with ranges. Not covered: Xet uploads, discussions, collections,
running Spaces, and more than one user.
"""

from zoo.local_hub.server import client_environment, live, running, serve, token_of

__all__ = ["client_environment", "live", "running", "serve", "token_of"]

"""A finished model and its exports as repositories: first as folders on disk, then, if asked, on a Hub.

Covered: whole checkpoints in safetensors, GGUF files, cards, the recipe with its lock, the records of every stage.
Not covered: adapters, datasets, Spaces, and a card that somebody edited on the Hub, which is written over.
"""

from zoo.publish.layout import run
from zoo.publish.pushing import Published, push

__all__ = ["Published", "push", "run"]

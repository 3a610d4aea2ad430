"""A finished model and what belongs to it as repositories: first as folders on disk, then, if asked, on a Hub.

Covered: whole checkpoints in safetensors, GGUF files, ONNX graphs, adapters, the rows of data stages, the Space that
shows the model, cards with their pictures, the recipe with its lock, the records of every stage, the index of the zoo.
"""

from zoo.publish.layout import FOLDERS, repositories, run
from zoo.publish.listing import enter, on_hub
from zoo.publish.pushing import Published, push

__all__ = ["FOLDERS", "Published", "enter", "on_hub", "push", "repositories", "run"]

"""A tiny model whose answers vary: as it comes, it repeats its last token, which hides what goes wrong between two."""

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

__all__ = ["make"]

_LOUDER = 8.0


def make(checkpoint: Path, folder: Path) -> Path:
    """A copy of a tiny checkpoint with every projection made louder, so that attention outweighs the embedding."""
    shutil.copytree(checkpoint, folder)
    tensors = load_file(folder / "model.safetensors")
    louder = {name: value * _LOUDER if "_proj.weight" in name else value for name, value in tensors.items()}
    save_file(louder, folder / "model.safetensors", metadata={"format": "pt"})
    return folder

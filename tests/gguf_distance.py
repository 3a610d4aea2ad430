"""How far a GGUF file is from its checkpoint, for the tests of exports."""

from pathlib import Path

from zoo.metrics import agreement, divergence
from zoo.serving import open_gguf, open_torch

__all__ = ["CHAT", "distance"]

CHAT = [{"role": "user", "content": "Set an alarm for 7:30. Turn on Bluetooth."}]


def distance(checkpoint: Path, file: Path, adapter: Path | None = None, exact: bool = True) -> float:
    """Mean KL from torch to the file, over a prompt."""
    with open_torch(checkpoint) as reference, open_gguf(file, threads=1, context=512, exact=exact) as candidate:
        if adapter:
            candidate.apply_adapter(adapter)
        ids = reference.encode(CHAT) * 4
        assert candidate.encode(CHAT) * 4 == ids
        both = reference.logits(ids[:-1]), candidate.logits(ids[:-1])
        return agreement([divergence(*both, ids[1:])]).mean_kl

"""A merge of checkpoints."""

from typing import Any, Literal

from zoo.schema.settings import StageSpec

__all__ = ["MergeSpec"]


class MergeSpec(StageSpec):
    """A merge of checkpoints by mergekit, in a process of its own."""

    kind: Literal["merge"] = "merge"
    mergekit: dict[str, Any]
    """mergekit's own keys, verbatim; wherever it names a model, a reference may stand."""

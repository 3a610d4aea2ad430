"""What a model knows in general, before and after training, and plain text to train it on."""

from typing import Literal, Self

from pydantic import Field, model_validator

from zoo.schema.reference import ModelRef, RowsRef
from zoo.schema.settings import StageSpec

__all__ = ["DocumentationSpec", "ProbeSpec"]


class ProbeSpec(StageSpec):
    """General ability: small questions and general text that come with the package, scored by likelihood."""

    kind: Literal["probe"] = "probe"
    model: ModelRef
    against: ModelRef | None = None
    """The model before training. With it, what was forgotten is measured, and may be gated."""
    rows: RowsRef | None = None
    """Plain text of the recipe's own, whose perplexity is measured beside that of general text."""
    limit: int = Field(64, ge=1)
    """How many of these rows are read, drawn with the seed, 512 tokens at most of each."""
    max_drop: float | None = Field(None, ge=0, le=100)
    """Percentage points of accuracy that may be lost; beyond it the run stops."""
    max_perplexity_ratio: float | None = Field(None, gt=0)
    """The perplexity of general text, after over before, at most; beyond it the run stops."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """The weights' type in memory."""

    @model_validator(mode="after")
    def _measured(self) -> Self:
        for name in ("max_drop", "max_perplexity_ratio"):
            if getattr(self, name) is not None and self.against is None:
                raise ValueError(f"{name} compares with the model before; write against: owner/name@revision")
        return self


class DocumentationSpec(StageSpec):
    """Plain text: the documentation strings in the source of Python's standard library, as rows with `text`."""

    kind: Literal["documentation"] = "documentation"
    modules: tuple[str, ...] = Field(min_length=1)
    """Modules of the standard library; a package's are all read. They are parsed, not imported."""
    split: Literal["train", "held-out"] = "train"
    """One object in ten is held out, told by its name."""
    limit: int | None = Field(None, ge=1)
    """At most so many rows, drawn with the seed."""

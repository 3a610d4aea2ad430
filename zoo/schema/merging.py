"""A merge of checkpoints, and a sweep that chooses among several."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from zoo.schema.reference import ModelRef, ScoresRef
from zoo.schema.settings import Settings, StageSpec

__all__ = ["ChooseSpec", "MergeSpec", "SweepScore", "SweepSpec"]

_Share = Annotated[float, Field(ge=0, le=1)]


class SweepScore(Settings):
    """One of the two scores that a sweep weighs against each other; more is better."""

    stage: dict[str, Any]
    """A stage that measures a model, without its `model`: {kind: evaluate, tasks: 30}."""
    metric: str
    """Which of its metrics is the score."""
    of: ModelRef
    """The model whose score counts as whole: the base for the general score, the specialist for the other."""
    keep: float = Field(ge=0, le=1)
    """The share of that score which the merge must keep."""


class SweepSpec(Settings):
    """Several merges, each scored twice; a gate chooses one or stops the run. Becomes stages of their own: each merge,
    each score and the choice are cached, resumed and shown by `plan` like any other."""

    values: tuple[float, ...] = Field(min_length=2)
    """What is tried, for example weights or densities."""
    set: dict[str, Literal["value", "rest"]] = Field(min_length=1)
    """Dotted place under `mergekit:` -> `value`, or `rest` for 1 - value."""
    general: SweepScore
    """What the base could do and should not lose."""
    specialist: SweepScore
    """What it was trained for."""
    prefer: Literal["general", "specialist"] = "specialist"
    """Of the merges that keep both, the one that is best at this; of equals the one that is better at the other."""

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(self.values)) < len(self.values):
            raise ValueError("values: one is written twice; keep one of them")
        return self


class MergeSpec(StageSpec):
    """A merge of checkpoints by mergekit, in a process of its own."""

    kind: Literal["merge"] = "merge"
    mergekit: dict[str, Any]
    """mergekit's own keys, verbatim; wherever it names a model, a reference may stand."""
    sweep: SweepSpec | None = None
    """Several values of some of those keys are tried, and the best that keeps enough of both worlds is taken."""


class ChooseSpec(StageSpec):
    """The choice of a sweep. A merge with `sweep:` puts this stage into the plan; it is seldom written by hand."""

    kind: Literal["choose"] = "choose"
    values: tuple[float, ...]
    candidates: tuple[ModelRef, ...]
    """The models, in the order of `values`."""
    general: tuple[ScoresRef, ...]
    specialist: tuple[ScoresRef, ...]
    general_whole: ScoresRef
    """The score that counts as whole."""
    specialist_whole: ScoresRef
    general_metric: str
    specialist_metric: str
    keep_general: _Share
    keep_specialist: _Share
    prefer: Literal["general", "specialist"] = "specialist"

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        if len({len(self.values), len(self.candidates), len(self.general), len(self.specialist)}) > 1:
            raise ValueError("values, candidates, general and specialist need as many entries each")
        return self

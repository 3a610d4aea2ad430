"""Rows to learn from, and the models and rows of two layers that stand in for real ones."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from zoo.schema.agent import AgentSpec
from zoo.schema.reference import RowsRef
from zoo.schema.settings import StageSpec

__all__ = ["DataSpec", "TinyRowsSpec", "TinySpec"]


class TinySpec(StageSpec):
    """A two-layer model of some architecture, made on the spot. Only `--tiny` puts this stage into a plan."""

    kind: Literal["tiny"] = "tiny"
    architecture: Literal["llama", "llama-wide", "qwen2_5_vl"]
    """The architecture of the base model that it stands in for; `llama-wide` has the tokens of `llama` and twice its
    width, as a teacher has."""


class TinyRowsSpec(StageSpec):
    """A handful of rows in OpenPhone's columns, with tiny screenshots. Only `--tiny` puts this stage into a plan."""

    kind: Literal["tiny-rows"] = "tiny-rows"
    count: int = Field(16, ge=1)


class DataSpec(StageSpec):
    """Rows to learn from: `rows.jsonl`, see `zoo.data` for its columns."""

    kind: Literal["data"] = "data"
    source: Literal["expert", "dataset"] = "expert"
    """`expert`: steps of the world's scripted expert. `dataset`: a dataset with OpenPhone's columns."""
    dataset: RowsRef | None = None
    """For `source: dataset`: where it is."""
    split: Literal["train", "held-out-parameters", "held-out-templates", "held-out-app"] = "train"
    """For `source: expert`: which tasks."""
    tasks: int = Field(100, ge=1)
    """For `source: expert`: how many tasks are drawn."""
    detours: float = Field(0.0, ge=0.0, le=1.0)
    """For `source: expert`: the share of episodes with one wrong step, somewhere on the way, so that the rows show how
    to recover. The wrong step itself is never a row."""
    limit: int | None = Field(None, ge=1)
    """At most so many rows, drawn with the seed."""
    predict: Literal["action", "observation"] = "action"
    """What a row's completion is. `action`: the expert's answer. `observation`: what is observed after it, for a world
    model before reinforcement (Early Experience's implicit world modelling, arXiv 2510.08558)."""
    alternatives: int = Field(0, ge=0)
    """For `predict: observation`: at each of the expert's states, so many calls that are not the expert's are tried
    too, and what they lead to is a row. None of them makes the episode go on."""
    agent: AgentSpec = AgentSpec()

    @model_serializer(mode="wrap")
    def _later_fields_when_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A field that came after the first keys is written only when it says something, so that keys stay."""
        later = {"predict": "action", "alternatives": 0}
        return {name: value for name, value in write(self).items() if name not in later or value != later[name]}

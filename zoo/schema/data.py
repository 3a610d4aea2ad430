"""Rows to learn from, and the models and rows of two layers that stand in for real ones."""

from typing import Literal

from pydantic import Field

from zoo.schema.agent import AgentSpec
from zoo.schema.reference import RowsRef
from zoo.schema.settings import StageSpec

__all__ = ["DataSpec", "TinyRowsSpec", "TinySpec"]


class TinySpec(StageSpec):
    """A tiny model of some architecture, made on the spot. Only `--tiny` puts this stage into a plan."""

    kind: Literal["tiny"] = "tiny"
    architecture: Literal["llama", "qwen2_5_vl", "qwen3", "smollm3", "gemma3"]
    """The architecture of the base model that it stands in for."""


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
    agent: AgentSpec = AgentSpec()

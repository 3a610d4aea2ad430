"""A whole recipe."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from zoo.schema.agent import AgentSpec
from zoo.schema.settings import Settings, StageSpec

__all__ = ["Hardware", "Recipe", "TinyTwin"]


class TinyTwin(Settings):
    """What `--tiny` changes: same graph, same code, models of two layers made on the spot, no network."""

    replace: dict[str, Literal["llama", "llama-wide", "qwen2_5_vl", "rows"]] = Field(default_factory=dict)
    """Repository -> the architecture of the model that stands in for it, or `rows` for a dataset."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Dotted key -> value, as on the command line."""


class Hardware(Settings):
    """What the recipe was sized for; `plan` compares its estimates with it."""

    device: str = "cpu"
    """`cpu`, or the name of a GPU, for example `NVIDIA A100-SXM4-80GB`."""
    count: int = Field(1, ge=1)
    memory_gib: float = Field(gt=0)
    """Memory of one device."""


class Recipe(Settings):
    """A whole recipe, as the loader hands it on: inheritance and overrides applied, stages typed."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    version: int = Field(1, ge=1)
    """Raised when a change of the recipe changes what comes out."""
    summary: str
    """One sentence: what it makes."""
    license: str
    """SPDX identifier of what is published."""
    license_reason: str | None = Field(None, min_length=12)
    """Why `license` holds although the licences of what the model is made of are unknown, contradict each other or ask
    for another one. The card quotes it."""
    seed: int = 0
    """Of every stage that does not set its own."""
    hardware: Hardware | None = None
    agent: AgentSpec = AgentSpec()
    """Of every stage that does not say otherwise."""
    stages: dict[str, StageSpec]
    tiny: TinyTwin = TinyTwin()

    STAGE_NAME: ClassVar[str] = r"^[a-z0-9][a-z0-9_-]*$"

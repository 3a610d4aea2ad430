"""What all settings of a recipe share, and what every stage has."""

from pydantic import BaseModel, ConfigDict

__all__ = ["IDENTITY", "Settings", "StageSpec"]

IDENTITY = {"for": "key"}
"""The context of a dump that goes into a key: settings that change no result may leave themselves out of it."""


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class StageSpec(Settings):
    """What every stage has."""

    kind: str
    seed: int | None = None
    """Overrides the recipe's seed for this stage."""

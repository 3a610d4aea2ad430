"""What all settings of a recipe share, and what every stage has."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Settings", "StageSpec"]


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class StageSpec(Settings):
    """What every stage has."""

    kind: str
    seed: int | None = None
    """Overrides the recipe's seed for this stage."""

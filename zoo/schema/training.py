"""The stages that train: what they share, and what each adds."""

from typing import Any, Literal

from pydantic import Field

from zoo.schema.reference import ModelRef, RowsRef
from zoo.schema.settings import Settings, StageSpec

__all__ = ["GRPOSpec", "RewardSpec", "SFTSpec", "TrainingSpec"]


class TrainingSpec(StageSpec):
    model: ModelRef
    """The checkpoint to start from."""
    data: RowsRef
    """The rows to learn from."""
    lora: dict[str, Any] | None = None
    """peft's LoraConfig, verbatim. Without it, every parameter that is not frozen is trained."""
    freeze: tuple[str, ...] = ()
    """Prefixes of parameter names that stay as they are, for example `model.visual`."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """The weights' type in memory while training."""
    save_dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """The type they are saved in. float32 before a merge: bfloat16 swallows the small differences of a fine-tune."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    """How attention is computed while training. `eager` is a third faster for rows of a few hundred tokens on a CPU,
    and keeps a matrix of rows x heads x tokens x tokens."""
    checkpoint_steps: int = Field(50, ge=1)
    """Optimizer steps between checkpoints; a killed stage goes on from the last."""
    trl: dict[str, Any] = Field(default_factory=dict)
    """TRL's own options, verbatim, checked against its config class."""


class SFTSpec(TrainingSpec):
    """Supervised fine-tuning with TRL's SFTTrainer; the loss is on the answers only."""

    kind: Literal["sft"] = "sft"


class RewardSpec(Settings):
    """One reward and its weight."""

    name: str
    """Its name in `zoo.registry.REWARDS`."""
    weight: float = 1.0
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the reward's class."""


class GRPOSpec(TrainingSpec):
    """Group relative policy optimisation with TRL's GRPOTrainer, on logged steps whose right action is known."""

    kind: Literal["grpo"] = "grpo"
    rewards: tuple[RewardSpec, ...] = (RewardSpec(name="action"), RewardSpec(name="format"))
    """OpenPhone's two by default: the called function (0 or 1) and the format (0 to 1)."""

"""The stages that train: what they share, and what each adds."""

from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from zoo.schema.agent import AgentSpec
from zoo.schema.reference import ModelRef, RowsRef
from zoo.schema.reinforcement import (
    DenoiseSpec,
    DynamicSamplingSpec,
    EnvironmentSpec,
    GuardSpec,
    RewardSpec,
    WorldModelSpec,
)
from zoo.schema.settings import StageSpec

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


class GRPOSpec(TrainingSpec):
    """Group relative policy optimisation with TRL's GRPOTrainer: on logged steps whose right action is known (`data`),
    or on whole episodes in the agent's world (`environment`)."""

    kind: Literal["grpo"] = "grpo"
    data: RowsRef | None = None  # type: ignore[assignment]  # an environment stands in its place
    """The logged steps to answer."""
    environment: EnvironmentSpec | None = None
    """The tasks to act in, in place of `data`."""
    agent: AgentSpec = AgentSpec()
    """Who acts in the environment."""
    rewards: tuple[RewardSpec, ...] = (RewardSpec(name="action"), RewardSpec(name="format"))
    """OpenPhone's two by default: the called function (0 or 1) and the format (0 to 1). In an environment: success, and
    half as much for sub-goals."""
    dynamic_sampling: DynamicSamplingSpec | None = None
    """Samples again for groups from which nothing is learned."""
    denoise: DenoiseSpec | None = None
    """Keeps what is no signal out of the advantages. Without it they are TRL's."""
    world_model: WorldModelSpec | None = None
    """Learns to tell the next observation, from the same episodes: needs an `environment`."""
    guard: GuardSpec = GuardSpec()
    """When training is stopped."""

    @model_validator(mode="before")
    @classmethod
    def _rewards_of_the_world(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("environment") is not None and "rewards" not in given:
            return {**given, "rewards": [{"name": "success"}, {"name": "sub-goals", "weight": 0.5}]}
        return given

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.data is None) == (self.environment is None):
            raise ValueError("prompts come from one source; write data: stage:NAME or environment: {...}, not both")
        return self

    @model_serializer(mode="wrap")
    def _later_fields_when_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A field that came after the first keys is written only when it says something, so that keys stay."""
        optional = ("data", "environment", "dynamic_sampling", "denoise", "world_model")
        unset = {name for name in optional if getattr(self, name) is None}
        unset |= {"agent"} if self.environment is None else set()
        unset |= {"guard"} if self.guard == GuardSpec() else set()
        return {name: value for name, value in write(self).items() if name not in unset}

"""The stages that train: what they share, and what each adds."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from zoo.schema.agent import AgentSpec
from zoo.schema.endpoint import PolicyEndpointSpec
from zoo.schema.reference import ModelRef, RowsRef
from zoo.schema.reinforcement import (
    DenoiseSpec,
    DynamicSamplingSpec,
    EnvironmentSpec,
    GuardSpec,
    RewardSpec,
    WorldModelSpec,
)
from zoo.schema.settings import Settings, StageSpec

__all__ = ["GRPOSpec", "OptimizerSpec", "RewardSpec", "SFTSpec", "TrainingSpec"]


class OptimizerSpec(Settings):
    """Muon for the matrices of the hidden layers, AdamW for embeddings, norms and biases.

    AdamW's side takes TRL's `learning_rate`, `weight_decay`, `adam_beta1`, `adam_beta2` and `adam_epsilon`.
    """

    name: Literal["muon"]
    learning_rate: float | None = Field(None, gt=0)
    """Muon's peak rate, under the same schedule as AdamW's. Updates are scaled to AdamW's size (0.2 sqrt(longer side)),
    so that without a rate AdamW's is used."""
    momentum: float = Field(0.95, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)


def _by_name(value: Any) -> Any:
    """`optimizer: muon` says the same as `optimizer: {name: muon}`."""
    return {"name": value} if isinstance(value, str) else value


Optimizer = Annotated[OptimizerSpec, BeforeValidator(_by_name)]


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
    """Supervised fine-tuning with TRL's SFTTrainer. What the loss is on follows from the columns of the rows:

    `prompt` and `completion`: the completion. `messages` (and `tools`): every turn of the assistant. `text`: all of it,
    which is continued pretraining.
    """

    kind: Literal["sft"] = "sft"
    optimizer: Optimizer | None = None
    """`muon`, or its settings. Without it, TRL's `optim`, which is AdamW."""
    global_batch: int | None = Field(None, ge=1)
    """Rows of one optimizer step, over all devices. How many a device takes at once and how often it accumulates follow
    from its memory. Without it, TRL's `per_device_train_batch_size` and `gradient_accumulation_steps`, and one device.
    """
    quantize: Literal["nf4"] | None = None
    """QLoRA: the frozen weights in four bits while adapters are trained. Needs `lora` and bitsandbytes."""

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        twice = [name for name in _BATCH_OPTIONS if name in self.trl]
        if self.global_batch and twice:
            raise ValueError(f"global_batch: {self.global_batch} sets trl.{twice[0]}; leave one of them out")
        if self.optimizer and "optim" in self.trl:
            raise ValueError(f"optimizer: {self.optimizer.name} and trl.optim are both set; leave one of them out")
        if self.quantize and self.lora is None:
            raise ValueError(f"quantize: {self.quantize} freezes the weights, so lora is needed; write lora: {{r: 16}}")
        if self.trl.get("packing") and self.trl.get("packing_strategy") == "wrapped":
            raise ValueError("trl.packing_strategy: wrapped lets rows see each other; write bfd")
        if self.trl.get("packing") and not self.trl.get("max_length"):
            raise ValueError("trl.packing needs the size of a pack; write trl.max_length, such as 1024")
        return self

    @model_serializer(mode="wrap")
    def _later_fields_when_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A field that came after the first keys is written only when it says something, so that keys stay."""
        return {name: value for name, value in write(self).items() if name not in _LATER or value is not None}


_LATER = ("optimizer", "global_batch", "quantize")
_BATCH_OPTIONS = ("per_device_train_batch_size", "gradient_accumulation_steps")


_UNSET_IN_GRPO = ("data", "environment", "endpoint", "dynamic_sampling", "denoise", "optimizer", "world_model")


class GRPOSpec(TrainingSpec):
    """Group relative policy optimisation with TRL's GRPOTrainer: on logged steps whose right action is known (`data`),
    or on whole episodes in the agent's world (`environment`)."""

    kind: Literal["grpo"] = "grpo"
    optimizer: Optimizer | None = None
    """`muon`, or its settings. Without it, TRL's `optim`, which is AdamW."""
    data: RowsRef | None = None  # type: ignore[assignment]  # an environment stands in its place
    """The logged steps to answer."""
    environment: EnvironmentSpec | None = None
    """The tasks to act in, in place of `data`."""
    agent: AgentSpec = AgentSpec()
    """Who acts in the environment."""
    endpoint: PolicyEndpointSpec | None = None
    """Where the policy's answers in the environment come from, in place of this process: needs `lora`."""
    rewards: tuple[RewardSpec, ...] = Field((RewardSpec(name="action"), RewardSpec(name="format")), min_length=1)
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
        if self.optimizer and "optim" in self.trl:
            raise ValueError(f"optimizer: {self.optimizer.name} and trl.optim are both set; leave one of them out")
        return self

    @model_serializer(mode="wrap")
    def _later_fields_when_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A field that came after the first keys is written only when it says something, so that keys stay."""
        unset = {name for name in _UNSET_IN_GRPO if getattr(self, name) is None}
        unset |= {"agent"} if self.environment is None else set()
        unset |= {"guard"} if self.guard == GuardSpec() else set()
        return {name: value for name, value in write(self).items() if name not in unset}

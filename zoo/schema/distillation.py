"""Distillation: what a student takes over from a teacher, and a teacher's logits kept for later."""

from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from zoo.schema.agent import AgentSpec
from zoo.schema.reference import LogitsRef, ModelRef, RowsRef
from zoo.schema.settings import Settings, StageSpec
from zoo.schema.training import Optimizer, TrainingSpec

__all__ = ["DistillSpec", "DistillWeights", "LogitsSpec", "RolloutSpec"]


class DistillWeights(Settings):
    """How much each signal counts; each is a sum over its tokens, divided by all answer tokens of the batch."""

    behaviour: float = Field(0.5, ge=0)
    """Cross-entropy on the answers' tokens, those of reasoning apart."""
    logits: float = Field(0.5, ge=0)
    """Divergence from the teacher's distribution on every answer token, times temperature squared."""
    chain_of_thought: float = Field(0.5, ge=0)
    """Cross-entropy on tokens of reasoning, between `<REASONING>` or `<think>` and its end. 0 leaves reasoning to the
    teacher's logits alone."""


class RolloutSpec(Settings):
    """Where the student's own answers come from that the teacher scores."""

    source: Literal["rows", "world"] = "rows"
    """`rows`: answers to the prompts of the rows. `world`: whole episodes in the agent's world, every answer of which
    the teacher scores."""
    temperature: float = Field(1.0, gt=0)
    """At which the student samples."""
    answer_tokens: int = Field(128, ge=1)
    """For `source: rows`: the longest answer. In a world it is `agent.answer_tokens`."""
    rounds: int = Field(4, ge=1)
    """For `source: world`: how often, spread evenly over the steps, the student plays anew with what it has learned."""
    tasks: int = Field(32, ge=1)
    """For `source: world`: episodes of one round, on tasks that no other round has."""
    split: Literal["train", "held-out-parameters", "held-out-templates", "held-out-app"] = "train"
    """For `source: world`: which tasks."""
    batch: int = Field(16, ge=1)
    """For `source: world`: episodes that step side by side."""


class DistillSpec(TrainingSpec):
    """Distillation: answers to imitate, a teacher's distributions, reasoning, and the student's own answers scored by
    the teacher, any of them at once. Built on TRL's SFTTrainer; `trl:` takes SFTConfig's options."""

    kind: Literal["distill"] = "distill"
    optimizer: Optimizer | None = None
    """`muon`, or its settings. Without it, TRL's `optim`, which is AdamW."""
    teacher: ModelRef | None = None
    """The model to learn from, in memory beside the student. Its tokens must be the student's."""
    logits: LogitsRef | None = None
    """In place of `teacher`: its logits, stored by a stage of kind `logits` on the same rows."""
    loss: Literal["forward", "reverse", "jsd"] = "forward"
    """`forward`: KL(teacher || student), covers all that the teacher might say. `reverse`: KL(student || teacher),
    keeps to what it surely would. `jsd`: the generalised Jensen-Shannon divergence between the two."""
    beta: float = Field(0.5, gt=0, lt=1)
    """For `loss: jsd`: the teacher's share of the mixture; towards 0 it becomes forward, towards 1 reverse."""
    temperature: float = Field(1.0, gt=0)
    """Both distributions are softened by it, and the divergence is multiplied by its square, so that gradients keep
    their size (Hinton et al., arXiv 1503.02531)."""
    weights: DistillWeights = DistillWeights()
    lmbda: float = Field(0.0, ge=0, le=1)
    """The share of batches that are the student's own answers, scored by the teacher; 1 is on-policy distillation. On
    them the weight of `logits` alone counts."""
    rollouts: RolloutSpec = RolloutSpec()
    gold: bool = False
    """For a teacher with another tokenizer: TRL's experimental GOLD, which compares sorted probabilities; `trl:` then
    takes GOLDConfig's options, and `lmbda`, `weights` and `temperature` are handed to it."""
    agent: AgentSpec = AgentSpec()

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if self.teacher is not None and self.logits is not None:
            raise ValueError("teacher and logits say the same thing twice; keep one")
        taught = self.teacher is not None or self.logits is not None
        if taught and not self.weights.logits:
            raise ValueError("weights.logits is 0, so that nobody asks the teacher; raise it, or leave the teacher out")
        if not taught and self.weights.logits:
            raise ValueError("nobody teaches; write teacher: owner/name, logits: stage:name, or weights.logits: 0")
        if self.lmbda and self.teacher is None:
            raise ValueError("lmbda lets the teacher score new answers; name a teacher, stored logits do not know them")
        if self.gold and (self.teacher is None or self.rollouts.source == "world"):
            raise ValueError("gold needs a teacher, and takes the student's answers to rows only")
        if self.gold and (self.loss != "forward" or self.weights.chain_of_thought != self.weights.behaviour):
            raise ValueError("gold has one loss for all tokens; leave `loss` out, and weigh text alike")
        if self.optimizer and "optim" in self.trl:
            raise ValueError(f"optimizer: {self.optimizer.name} and trl.optim are both set; leave one of them out")
        return self

    @model_serializer(mode="wrap")
    def _later_fields_when_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A field that came after the first keys is written only when it says something, so that keys stay."""
        return {name: value for name, value in write(self).items() if name != "optimizer" or value is not None}


class LogitsSpec(StageSpec):
    """A teacher's distributions over the answers of rows, the most likely tokens of each, kept on disk, so that the
    teacher need not be in memory while the student trains."""

    kind: Literal["logits"] = "logits"
    model: ModelRef
    """The teacher."""
    data: RowsRef
    """The rows that the student will train on."""
    render: ModelRef | None = None
    """Whose tokenizer and chat template turn rows into tokens: the student's, where it is not the teacher's own."""
    top_k: int = Field(64, ge=1)
    """How many tokens of each distribution are kept. 6 bytes each; the rest goes into one bucket."""
    temperatures: tuple[float, ...] = Field((1.0,), min_length=1)
    """The temperatures at which they can be used: how much lies outside the kept tokens is stored for each."""
    batch: int = Field(8, ge=1)
    """Rows that are scored side by side."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """The weights' type in memory."""

    @model_validator(mode="after")
    def _hot(self) -> Self:
        if any(temperature <= 0 for temperature in self.temperatures):
            raise ValueError("a temperature is above 0; write temperatures: [1.0, 2.0]")
        return self

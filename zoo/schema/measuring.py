"""What is measured of models and files, and the thresholds that they must keep."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from zoo.schema.agent import AgentSpec
from zoo.schema.reference import FilesRef, ModelRef
from zoo.schema.settings import Settings, StageSpec

__all__ = ["EvaluateSpec", "Gate", "LatencySpec", "VerifySpec"]


class EvaluateSpec(StageSpec):
    """Success on tasks that were not trained on, decided by the state of the world, never by the text."""

    kind: Literal["evaluate"] = "evaluate"
    model: ModelRef
    split: Literal["train", "held-out-parameters", "held-out-templates", "held-out-app"] = "held-out-parameters"
    """Which tasks."""
    tasks: int = Field(50, ge=1)
    """How many."""
    templates: tuple[str, ...] = ()
    """Only tasks of templates that fit one of these patterns: `clock.*`, `miniwob.click-*`; `expert` stands for those
    whose way the world's expert knows. Without any, all of the split."""
    batch: int = Field(16, ge=1)
    """Episodes that step side by side. How, not what: answers are greedy."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """The weights' type in memory: half the bytes to read for every token."""
    agent: AgentSpec = AgentSpec()


class Gate(Settings):
    """The thresholds that one file must keep against the checkpoint that it was made of, on the prompts of the recipe's
    world and on general text, each by itself."""

    mean_kl: float = Field(gt=0)
    """Mean KL divergence of the next-token distributions, in nats, at most."""
    top1: float = Field(ge=0, le=1)
    """Share of positions with the same most likely token, at least."""
    perplexity_ratio: float | None = Field(None, gt=0)
    """The file's perplexity over the checkpoint's, at most. Without it, the default of the type."""
    same_action: float = Field(0.0, ge=0, le=1)
    """Share of held-out steps on which both call the same function with the same arguments, at least."""
    success_drop: float | None = Field(None, ge=0, le=100)
    """Percentage points of task success that the file may lose. Without it, the default of the type: none is asked for,
    but 2 points for 4 to 6 bits. Needs `tasks`."""


def _without_defaults(value: Any) -> Any:
    """`f16: default` says the same as no `f16` at all, and so must have the same key."""
    return {name: gate for name, gate in value.items() if gate != "default"} if isinstance(value, dict) else value


class VerifySpec(StageSpec):
    """Whether exported files still are the model that was trained; a file beyond its gate fails the run."""

    kind: Literal["verify"] = "verify"
    export: FilesRef
    against: ModelRef
    base: ModelRef | None = None
    """The checkpoint before training. With it, the report says which towers (vision, projector, language) training
    changed."""
    prompts: int = Field(32, ge=1)
    """Held-out steps whose prompt and answer are compared token by token."""
    texts: int = Field(8, ge=0, le=16)
    """Passages of general text, 512 tokens at most each, that are compared token by token."""
    actions: int = Field(16, ge=0)
    """How many of the held-out steps are also answered greedily by both, and their actions compared."""
    tasks: int = Field(0, ge=0)
    """Held-out tasks that the checkpoint and every file are let act on; 0 for none. Minutes on a CPU."""
    gates: Annotated[dict[str, Gate], BeforeValidator(_without_defaults)] = Field(default_factory=dict)
    """Per type of the export. A type without one, or with `default`, is held to the default of its precision."""
    optional: tuple[str, ...] = ()
    """Types whose file may fall short: it is then not published, the card says so, and the run goes on."""
    agent: AgentSpec = AgentSpec()

    @model_validator(mode="after")
    def _measured(self) -> Self:
        for name, gate in self.gates.items():
            if gate.success_drop is not None and not self.tasks:
                raise ValueError(f"gates.{name}.success_drop needs tasks to be measured on; write tasks: 50")
        return self


class LatencySpec(StageSpec):
    """What each exported file costs to run on this machine: seconds, tokens a second, memory; in its own runtime, by
    the loop that the agent uses, each file in a process of its own."""

    kind: Literal["latency"] = "latency"
    export: FilesRef
    """The files: a gguf or an onnx stage."""
    model: ModelRef | None = None
    """The checkpoint, measured beside them in torch and bfloat16 as `torch`."""
    types: tuple[str, ...] | None = Field(None, min_length=1)
    """Which types of the export; all of them by default."""
    repeats: int = Field(20, ge=1)
    """Prompts of the fixed length, one after the other, of which nothing is shared."""
    warm_up: int = Field(2, ge=0)
    """Prompts, and agent steps, before them that do not count."""
    prompt_tokens: int = Field(512, ge=2)
    """Length of those prompts."""
    answer_tokens: int = Field(64, ge=2)
    """Length of their answers, whatever the model says."""
    steps: int = Field(20, ge=0)
    """Consecutive steps of the agent on held-out tasks, as the world's expert walks through them, that the model
    answers; 0 for none."""
    threads: int | None = Field(None, ge=1)
    """Threads; by default as many as decode fastest, measured for each file."""
    reuse: bool = True
    """Whether an agent's step computes only what its prompt does not share with the step before."""
    lookup: bool = False
    """Whether an agent's step guesses tokens from its prompt and earlier answers, and checks several at once."""
    agent: AgentSpec = AgentSpec()

"""The one place that says what a recipe key means.

The string under a field is its comment, its text in the JSON Schema and its help. Options of TRL, peft and mergekit are
not declared again: they stand verbatim under `trl:`, `lora:` and `mergekit:` and are checked against the libraries'
own classes (`zoo.options`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    Strict,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from zoo.refs import Ref, parse

__all__ = [
    "AgentSpec",
    "DataSpec",
    "EvaluateSpec",
    "GGUFSpec",
    "GRPOSpec",
    "Gate",
    "ImportanceSpec",
    "MergeSpec",
    "ONNXSpec",
    "PublishSpec",
    "Recipe",
    "RewardSpec",
    "SFTSpec",
    "StageSpec",
    "TinyRowsSpec",
    "TinySpec",
    "TinyTwin",
    "VerifySpec",
    "references",
]


@dataclass(frozen=True)
class Accepts:
    """What a reference may point at: the `produces` of a stage, or the type of a repository on the Hub."""

    produces: str
    hub: Literal["model", "dataset"] | None = None


def _parse(value: Any) -> Any:
    return parse(value) if isinstance(value, str) else value


# Written out four times because a type checker reads an alias only when it is a plain assignment.
_TEXT = WithJsonSchema(
    {"type": "string", "description": "owner/name@revision, stage:name, or a path that starts with ./ or /"}
)
_READ = BeforeValidator(_parse)
_WRITE = PlainSerializer(str, return_type=str)
ModelRef = Annotated[Ref, _READ, _WRITE, _TEXT, Accepts("model", hub="model")]
RowsRef = Annotated[Ref, _READ, _WRITE, _TEXT, Accepts("rows", hub="dataset")]
ScoresRef = Annotated[Ref, _READ, _WRITE, _TEXT, Accepts("scores")]
FilesRef = Annotated[Ref, _READ, _WRITE, _TEXT, Accepts("files")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class AgentSpec(_Model):
    """How the agent is asked, what it remembers, and when an episode ends."""

    world: Literal["phone", "phone-ten", "miniwob", "android"] = "phone"
    """The environment that it acts in: the phone with four apps, the one with ten, which also disturbs, MiniWoB++ in a
    real browser, or an Android device over adb."""
    style: Literal["openphone", "terse"] = "openphone"
    """`openphone`: OpenPhone's system text and its three-tag answer. `terse`: the same three tags with a system text of
    one line and short contents, since a weak model is hurt by long reasoning."""
    observation: Literal["xml", "terse", "xml-bounds"] = "xml"
    """`xml`: AndroidLab's compressed XML. `terse`: a line an element, its number behind its label, where a weak model
    finds it: what follows a word is easier to copy than what stands before it. `xml-bounds`: the XML with every node's
    bounds in pixels, and with the actions check and focusable, as AndroidLab writes it."""
    memory_steps: int = Field(10, ge=0)
    """How many of its own past state assessments the agent is shown."""
    rounds: int = Field(25, ge=1)
    """Steps after which an episode ends (AndroidLab: 25)."""
    answer_tokens: int = Field(256, ge=8)
    """The longest answer of one step, in tokens."""
    memory: Literal["assessments", "folded", "actions", "none"] = "assessments"
    """What it is shown of its past. `assessments`: the last of its own state assessments. `folded`: the same, and the
    older ones folded into one line. `actions`: its last calls alone. `none`: nothing."""
    memory_tokens: int | None = Field(None, ge=0)
    """How many tokens its memory may have at most, besides `memory_steps`; the instruction and the screen are never
    cut. Without it, the steps alone bound it."""
    constrained: bool = False
    """Whether a grammar keeps answers to the three tags and a call that exists on the screen."""
    episode_seconds: float | None = Field(None, gt=0)
    """Seconds after which an episode ends; with it, a slow machine changes results. Without it, only rounds count."""

    @model_serializer(mode="wrap")
    def _later_fields_when_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A field that came after the first keys is written only when it says something, so that keys stay."""
        return {name: value for name, value in write(self).items() if name not in _LATER or value != _LATER[name]}


_LATER: dict[str, Any] = {"memory": "assessments", "memory_tokens": None, "constrained": False, "episode_seconds": None}


class StageSpec(_Model):
    """What every stage has."""

    kind: str
    seed: int | None = None
    """Overrides the recipe's seed for this stage."""


class TinySpec(StageSpec):
    """A two-layer model of some architecture, made on the spot. Only `--tiny` puts this stage into a plan."""

    kind: Literal["tiny"] = "tiny"
    architecture: Literal["llama", "qwen2_5_vl"]
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


class _TrainingSpec(StageSpec):
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


class SFTSpec(_TrainingSpec):
    """Supervised fine-tuning with TRL's SFTTrainer; the loss is on the answers only."""

    kind: Literal["sft"] = "sft"


class RewardSpec(_Model):
    """One reward and its weight."""

    name: str
    """Its name in `zoo.registry.REWARDS`."""
    weight: float = 1.0
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the reward's class."""


class GRPOSpec(_TrainingSpec):
    """Group relative policy optimisation with TRL's GRPOTrainer, on logged steps whose right action is known."""

    kind: Literal["grpo"] = "grpo"
    rewards: tuple[RewardSpec, ...] = (RewardSpec(name="action"), RewardSpec(name="format"))
    """OpenPhone's two by default: the called function (0 or 1) and the format (0 to 1)."""


class MergeSpec(StageSpec):
    """A merge of checkpoints by mergekit, in a process of its own."""

    kind: Literal["merge"] = "merge"
    mergekit: dict[str, Any]
    """mergekit's own keys, verbatim; wherever it names a model, a reference may stand."""


class EvaluateSpec(StageSpec):
    """Success on tasks that were not trained on, decided by the state of the world, never by the text."""

    kind: Literal["evaluate"] = "evaluate"
    model: ModelRef
    split: Literal["train", "held-out-parameters", "held-out-templates", "held-out-app"] = "held-out-parameters"
    """Which tasks."""
    tasks: int = Field(50, ge=1)
    """How many."""
    batch: int = Field(16, ge=1)
    """Episodes that step side by side. How, not what: answers are greedy."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """The weights' type in memory: half the bytes to read for every token."""
    agent: AgentSpec = AgentSpec()


class ImportanceSpec(_Model):
    """What a quantizer learns from which columns matter: rows of the recipe's own world."""

    rows: RowsRef
    """A data stage."""
    count: int = Field(64, ge=1)
    """How many of its rows are read, drawn with the seed."""


class GGUFSpec(StageSpec):
    """A checkpoint as GGUF, for llama.cpp."""

    kind: Literal["gguf"] = "gguf"
    model: ModelRef
    name: str = ""
    """What the files call the model; the recipe's name by default."""
    license: str = ""
    """SPDX identifier in the files; the recipe's by default."""
    types: tuple[Literal["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0"], ...] = ("f16", "q8_0")
    """One file each. `q4_k_m` and the like are llama.cpp's mixtures: the record says what they really hold."""
    imatrix: ImportanceSpec | None = None
    """An importance matrix for the types of six bits and fewer."""
    tensors: dict[
        str, Literal["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k", "q5_1", "q5_0", "q4_k", "q4_1", "q4_0"]
    ] = Field(default_factory=dict)
    """Pattern of tensor names, for example `blk.*.ffn_down.weight`, -> its type in every file of a quantized type; the
    first pattern that fits counts."""
    shard_bytes: int | None = Field(None, ge=1)
    """Split files at so many bytes."""
    mmproj: Literal["f32", "f16", "bf16", "q8_0"] | None = "f16"
    """The type of the vision tower's file, for a model that has one; null leaves it out."""
    adapter: bool = False
    """Also the LoRA adapter of the stage that made the model, as a file of its own."""


class ONNXSpec(StageSpec):
    """A checkpoint as ONNX, for ONNX Runtime, transformers.js, optimum and ONNX Runtime GenAI."""

    kind: Literal["onnx"] = "onnx"
    model: ModelRef
    variants: tuple[Literal["fp32", "fp16", "int8", "int4", "genai-int8", "genai-int4"], ...] = ("fp16", "int8")
    """One graph each. `int8` and `int4`: weights only, in blocks of 32. `genai-...`: for ONNX Runtime GenAI, faster."""
    exporter: Literal["transformers", "torch"] = "transformers"
    """Who traces the portable graph: transformers' own exporter, or torch's over a wrapper of ours."""
    threads: int = Field(2, ge=1)
    """Threads that the settings of the GenAI variants ask for."""


class Gate(_Model):
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


class PublishSpec(StageSpec):
    """The model, its exports and their cards, as repositories on a Hub."""

    kind: Literal["publish"] = "publish"
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """`owner/name`; the exports go to `owner/name-GGUF`."""
    model: ModelRef
    export: FilesRef | None = None
    verify: ScoresRef | None = None
    scores: dict[str, ScoresRef] = Field(default_factory=dict)
    """Label -> the evaluation that the card shows under it, in this order."""
    latency: ScoresRef | None = None
    """What each exported file costs to run, for the card's table."""
    file_scores: dict[str, ScoresRef] = Field(default_factory=dict)
    """Type of an exported file, such as q8_0 -> the evaluation that acted with that very file."""
    adapter: Annotated[bool, Strict()] | ModelRef = False
    """A training stage whose LoRA adapter goes to `owner/name-adapter`; `true` stands for that of `model`. It must have
    begun from a model of a Hub, or nobody could use it."""
    datasets: tuple[RowsRef, ...] = ()
    """Data stages whose rows go to the dataset `owner/name-data`, a configuration each."""
    branches: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")], ModelRef] = Field(default_factory=dict)
    """Branch of `owner/name` -> an intermediate checkpoint that it holds, whole."""
    tag: bool = False
    """Whether the commit is tagged `v<version of the recipe>`. A tag that is there is not moved without --overwrite: a
    recipe that makes something else now needs another version."""
    collection: str | None = Field(None, min_length=1, max_length=60)
    """The title of a collection of the owner's that ties the repositories of this publication together."""
    private: bool = True
    """Only the owner sees it; the public Hub's listing stays as it was."""


class TinyTwin(_Model):
    """What `--tiny` changes: same graph, same code, models of two layers made on the spot, no network."""

    replace: dict[str, Literal["llama", "qwen2_5_vl", "rows"]] = Field(default_factory=dict)
    """Repository -> the architecture of the model that stands in for it, or `rows` for a dataset."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Dotted key -> value, as on the command line."""


class Hardware(_Model):
    """What the recipe was sized for; `plan` compares its estimates with it."""

    device: str = "cpu"
    """`cpu`, or the name of a GPU, for example `NVIDIA A100-SXM4-80GB`."""
    count: int = Field(1, ge=1)
    memory_gib: float = Field(gt=0)
    """Memory of one device."""


class Recipe(_Model):
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


def references(spec: BaseModel) -> Iterator[tuple[str, Ref, Accepts]]:
    """Every reference of a spec, with its dotted place and what it may point at.

    >>> [place for place, _, _ in references(SFTSpec(model="a/b", data="stage:rows"))]
    ['model', 'data']
    """
    for name, info in type(spec).model_fields.items():
        accepts = next((mark for mark in _marks(info) if isinstance(mark, Accepts)), None)
        value = getattr(spec, name)
        if accepts and isinstance(value, Ref):
            yield name, value, accepts
        elif accepts and isinstance(value, dict):
            yield from ((f"{name}.{label}", ref, accepts) for label, ref in value.items())
        elif accepts and isinstance(value, tuple):
            yield from ((f"{name}.{index}", ref, accepts) for index, ref in enumerate(value))
        elif isinstance(value, BaseModel):
            yield from ((f"{name}.{place}", ref, inner) for place, ref, inner in references(value))
    if isinstance(spec, MergeSpec):
        yield from _merge_references(spec.mergekit, "mergekit")


def _marks(info: Any) -> Iterator[Any]:
    """The annotations of a field, also those inside `X | None` and `dict[str, X]`."""
    yield from info.metadata
    pending = [info.annotation]
    while pending:
        annotation = pending.pop()
        yield from getattr(annotation, "__metadata__", ())
        pending.extend(getattr(annotation, "__args__", ()))


def _merge_references(node: Any, place: str) -> Iterator[tuple[str, Ref, Accepts]]:
    """mergekit names models under `base_model`, and under `model` of `models:` and `sources:`."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("base_model", "model") and isinstance(value, str):
                yield f"{place}.{key}", parse(value), Accepts("model", hub="model")
            else:
                yield from _merge_references(value, f"{place}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _merge_references(value, f"{place}.{index}")

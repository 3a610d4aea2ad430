"""Rows to learn from, and the models and rows of two layers that stand in for real ones."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer

from zoo.schema.agent import AgentSpec
from zoo.schema.endpoint import EndpointSpec
from zoo.schema.reference import FilesRef, ModelRef, RowsRef
from zoo.schema.settings import Settings, StageSpec

__all__ = ["DataSpec", "FilterSpec", "ReasonSpec", "Share", "TinyRowsSpec", "TinySpec"]

Format = Literal["openphone", "chat", "text", "androidlab"]


class TinySpec(StageSpec):
    """A tiny model of some architecture, made on the spot. Only `--tiny` puts this stage into a plan."""

    kind: Literal["tiny"] = "tiny"
    architecture: Literal["llama", "llama-wide", "qwen2_5_vl", "qwen3", "smollm3", "gemma3"]
    """The architecture of the base model that it stands in for; `llama-wide` has the tokens of `llama` and twice its
    width, as a teacher has."""


class TinyRowsSpec(StageSpec):
    """A handful of rows in OpenPhone's columns, with tiny screenshots. Only `--tiny` puts this stage into a plan."""

    kind: Literal["tiny-rows"] = "tiny-rows"
    count: int = Field(16, ge=1)


class FilterSpec(Settings):
    """Which rows are left out. Each that is, is counted with its reason."""

    most_characters: int | None = Field(None, ge=1)
    """Of all its texts together; OpenPhone's builder keeps 12,000."""
    least_characters: int | None = Field(None, ge=1)
    distinct: bool = False
    """Whether a row goes that says the same as an earlier one: same prompt, same answer."""
    templates: tuple[str, ...] = ()
    """Only rows of templates that fit one of these patterns, for example `clock.*`."""
    per_template: int | None = Field(None, ge=1)
    """At most so many rows of one template, drawn with the seed."""
    strict_answers: bool = False
    """Only answers of exactly the three tags, with a readable call in the last."""


class ReasonSpec(Settings):
    """Reasoning that a teacher writes for steps whose right call is known, in OpenPhone's manner (arXiv 2510.22009).

    The teacher is shown the step and its call and says why; a second request puts that into the first person and the
    three tags, again until they parse and hold the known call. The state assessments become the memory of later steps.
    """

    teacher: EndpointSpec
    """Who explains each step."""
    writer: EndpointSpec | None = None
    """Who puts the explanation into the tags; the teacher itself by default. OpenPhone: Gemini 2.5 Pro, Qwen3-32B."""
    tries: int = Field(4, ge=1)
    """Answers that are asked of the writer before a row is dropped."""
    temperature: float = Field(0.7, ge=0)
    """Of both. At 0, one try is as good as many."""
    tokens: int = Field(1024, ge=16)
    """The longest answer of either."""


class Share(Settings):
    """One source of a mixture."""

    rows: RowsRef
    weight: float = Field(ge=0)
    """Its share of the rows, compared with the other weights."""
    format: Literal["openphone", "chat", "text"] = "chat"
    """How its rows are written; `chat` also reads what a data stage wrote."""


def _shares(value: Any) -> Any:
    """`{reference: weight}` and `{reference: {weight, format}}` as a list of shares."""
    if not isinstance(value, dict):
        return value
    return [{"rows": ref, **(said if isinstance(said, dict) else {"weight": said})} for ref, said in value.items()]


_MIX = dict[str, float | dict[str, Any]] | tuple[Share, ...]


class DataSpec(StageSpec):
    """Rows to learn from: `rows.jsonl`, see `zoo.data` for its columns."""

    kind: Literal["data"] = "data"
    source: Literal["expert", "dataset", "agent", "mix"] = "expert"
    """`expert`: steps of the world's scripted expert. `agent`: steps of any model in the world. `dataset`: rows that
    somebody else wrote. `mix`: other rows by weight."""
    dataset: RowsRef | None = None
    """For `source: dataset`: where it is."""
    split: Literal["train", "held-out-parameters", "held-out-templates", "held-out-app"] = "train"
    """For `source: expert` and `agent`: which tasks."""
    tasks: int = Field(100, ge=1)
    """For `source: expert` and `agent`: how many tasks are drawn."""
    detours: float = Field(0.0, ge=0.0, le=1.0)
    """For `source: expert`: the share of episodes with one wrong step, somewhere on the way, so that the rows show how
    to recover. The wrong step itself is never a row."""
    limit: int | None = Field(None, ge=1)
    """At most so many rows, drawn with the seed. Of a mixture: exactly so many."""
    agent: AgentSpec = AgentSpec()
    format: Format = "openphone"
    """For `source: dataset`. `openphone`: its columns. `chat`: the columns messages, conversations, prompt and
    completion, or instruction and output. `text`: plain text, of a column or of files. `androidlab`: its recorder's
    traces with XML dumps or screenshots."""
    turns: Literal["all", "last"] = "all"
    """For `format: chat`: whether a conversation teaches all turns of the assistant (a row of `messages`) or its last
    one (a row of `prompt` and `completion`)."""
    column: str = "text"
    """For `format: text`: the column that holds the text."""
    package: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+$")
    """For `format: text`, instead of `dataset`: an installed Python package, `name==version`; its text files, and the
    documentation strings of its modules."""
    files: tuple[str, ...] = ()
    """For `format: text`: patterns of file names; by default *.txt, *.md and *.rst, and of a package *.py too."""
    text_characters: int | None = Field(None, ge=64)
    """For `format: text`: the longest row; a longer text becomes several, cut between paragraphs where it can be."""
    model: ModelRef | None = None
    """For `source: agent`: who acts, a checkpoint, or a path of a GGUF or ONNX file."""
    export: FilesRef | None = None
    """For `source: agent`, instead of `model`: the stage whose exported file acts."""
    file: str = ""
    """For `source: agent`: a word of the file's name, for example q8_0, where there are several."""
    endpoint: EndpointSpec | None = None
    """For `source: agent`, instead of `model`: the endpoint that acts."""
    tries: int = Field(1, ge=1)
    """For `source: agent`: how often each task is played. More than one needs a temperature."""
    temperature: float = Field(0.0, ge=0)
    """For `source: agent`: 0 is greedy."""
    keep: Literal["successful", "best", "all"] = "successful"
    """For `source: agent`. `successful`: every episode that ended in success (rejection sampling). `best`: of each task
    the successful one of fewest steps. `all`: failed ones too."""
    batch: int = Field(16, ge=1)
    """For `source: agent`: episodes that step side by side."""
    reason: ReasonSpec | None = None
    """A teacher that writes the reasoning of rows whose call is known."""
    predict: Literal["action", "observation"] = "action"
    """For `source: expert`: what a row's completion is. `action`: the expert's answer. `observation`: what is observed
    after it, for a world model before reinforcement (Early Experience's implicit world modelling, arXiv 2510.08558)."""
    alternatives: int = Field(0, ge=0)
    """For `predict: observation`: at each of the expert's states, so many calls that are not the expert's are tried
    too, and what they lead to is a row. None of them makes the episode go on."""
    filters: FilterSpec = FilterSpec()
    mix: Annotated[tuple[Share, ...], BeforeValidator(_shares, json_schema_input_type=_MIX)] = ()
    """For `source: mix`: `{stage:demos: 0.7, owner/dataset@revision: 0.3}`. Without `limit`, as many rows as there can
    be without one being taken twice."""

    @model_serializer(mode="wrap")
    def _later_fields_when_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A field that came after the first keys is written only when it says something, so that keys stay."""
        return {name: value for name, value in write(self).items() if name in _FIRST or not self._is_default(name)}

    def _is_default(self, name: str) -> bool:
        return bool(getattr(self, name) == type(self).model_fields[name].default)


_FIRST = frozenset({"kind", "seed", "source", "dataset", "split", "tasks", "detours", "limit", "agent"})

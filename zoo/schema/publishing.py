"""What a run leaves on a Hub."""

from typing import Annotated, Literal

from pydantic import Field, Strict

from zoo.schema.reference import FilesRef, ModelRef, RowsRef, ScoresRef
from zoo.schema.settings import StageSpec

__all__ = ["PublishSpec"]


class PublishSpec(StageSpec):
    """The model, its exports and their cards, as repositories on a Hub."""

    kind: Literal["publish"] = "publish"
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """`owner/name`; GGUF files go to `owner/name-GGUF`, ONNX graphs to `owner/name-ONNX`."""
    model: ModelRef
    export: FilesRef | None = None
    """A gguf stage."""
    verify: ScoresRef | None = None
    """What was found of its files, and which of them may not be published."""
    onnx: FilesRef | None = None
    """An onnx stage."""
    onnx_verify: ScoresRef | None = None
    """What was found of its graphs, and which of them may not be published."""
    scores: dict[str, ScoresRef] = Field(default_factory=dict)
    """Label -> the evaluation that the card shows under it, in this order."""
    latency: ScoresRef | None = None
    """What each file of `export` costs to run, for the card's table."""
    onnx_latency: ScoresRef | None = None
    """What each graph of `onnx` costs to run."""
    file_scores: dict[str, ScoresRef] = Field(default_factory=dict)
    """Type of an exported file, such as q8_0 or int8 -> the evaluation that acted with that very file."""
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
    space: bool = False
    """Whether the Space `owner/name` goes with it, where anybody can watch the model act."""
    collection: str | None = Field(None, min_length=1, max_length=60)
    """The title of a collection of the owner's that ties the repositories of this publication together."""
    private: bool = True
    """Only the owner sees it; the public Hub's listing stays as it was."""

"""What the cards of one publication are written from: the recipe, its records, and the names of what is published."""

from collections.abc import Mapping
from dataclasses import dataclass

from zoo.cards.exported import ExportedFile, Exports
from zoo.cards.worlds import World, world_of
from zoo.licences import Licence
from zoo.records import StageRecord

__all__ = ["CardData", "PublishedRows", "RecipeFacts"]


@dataclass(frozen=True)
class RecipeFacts:
    """The recipe behind a publication."""

    name: str
    version: int
    summary: str
    license: str
    """SPDX identifier."""
    seed: int
    text: str
    """The YAML as written."""
    files: tuple[str, ...] = ("recipe.yaml",)
    """The names of its files, itself first: it may extend others, without which it cannot be read."""
    overrides: tuple[str, ...] = ()
    """What `--set` changed."""
    tiny: bool = False
    licence: Licence | None = None
    """As it was computed from what the model is made of; None when nobody did."""


@dataclass(frozen=True)
class PublishedRows:
    """The rows of one data stage, as they are published."""

    record: StageRecord
    columns: Mapping[str, str]
    """Column -> its type in JSON, of the first row."""
    pictures: bool = False

    @property
    def name(self) -> str:
        """The stage's name, which is the configuration's."""
        return self.record.name


@dataclass(frozen=True)
class CardData:
    """Everything that the cards of one publication are written from."""

    repo: str
    """`owner/name` of the checkpoint."""
    recipe: RecipeFacts
    model: str
    """What was published, as it was resolved: `stage:KEY` or `repo@commit`."""
    lineage: Mapping[str, StageRecord]
    """Every stage upstream."""
    scores: Mapping[str, StageRecord]
    """Label -> evaluation, in the order of the table."""
    gguf: Exports | None = None
    onnx: Exports | None = None
    pipeline_tag: str = "text-generation"
    adapter_of: StageRecord | None = None
    """The training stage whose adapter is published too."""
    rows: tuple[PublishedRows, ...] = ()
    """The data stages that are published too."""
    space: bool = False
    """Whether a Space of the same name goes with it."""

    @property
    def adapter_repo(self) -> str:
        """Where the adapter goes."""
        return f"{self.repo}-adapter"

    @property
    def rows_repo(self) -> str:
        """Where the rows go: a dataset, with one configuration a data stage."""
        return f"{self.repo}-data"

    @property
    def own_score(self) -> StageRecord | None:
        """The evaluation of the very model that is published."""
        return next((record for record in self.scores.values() if record.inputs.get("model") == self.model), None)

    @property
    def acted(self) -> StageRecord | None:
        """The evaluation that tells how the agent is asked: of the published model, else the first of the table."""
        return self.own_score or next(iter(self.scores.values()), None)

    @property
    def world(self) -> World | None:
        """Where it acts, in words; None when no record says."""
        return world_of(self.acted, self.lineage.values())

    @property
    def exports(self) -> tuple[Exports, ...]:
        """What was exported, a format each."""
        return tuple(exports for exports in (self.gguf, self.onnx) if exports)

    @property
    def files(self) -> tuple[ExportedFile, ...]:
        """The published exports of every format, each format's largest first."""
        return tuple(file for exports in self.exports for file in exports.files)

    @property
    def recommended(self) -> ExportedFile | None:
        """The recommended file of the first format that has one; none when no file passed a gate."""
        return next((exports.recommended for exports in self.exports if exports.recommended), None)

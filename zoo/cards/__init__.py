"""Cards: records in, Markdown out. Pure: it reads the templates that come with the package and nothing else.

A number without a record cannot be written: templates are filled under StrictUndefined, with values read from records
only, and what did not run says *not run*. Not here: computing a licence, plots, cards of datasets and Spaces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from zoo import shipped
from zoo.cards import lineage, making, metadata, results, tables
from zoo.cards.results import ExportedFile
from zoo.records import StageRecord

__all__ = ["CardData", "RecipeFacts", "gguf_card", "model_card"]

# What each split of a world holds; a card lists those that were not measured, too.
_SPLITS = {
    "train": "the tasks that its demonstrations were drawn from",
    "held-out-parameters": "kinds of task that were demonstrated, with names, times and texts that were not",
    "held-out-templates": "kinds of task that were not demonstrated",
}


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
    overrides: tuple[str, ...] = ()
    """What `--set` changed."""
    tiny: bool = False


@dataclass(frozen=True)
class CardData:
    """Everything that the cards of one publication are written from."""

    repo: str
    """`owner/name` of the checkpoint; the exports are in `owner/name-GGUF`."""
    recipe: RecipeFacts
    model: str
    """What was published, as it was resolved: `stage:KEY` or `repo@commit`."""
    lineage: Mapping[str, StageRecord]
    """Every stage upstream."""
    scores: Mapping[str, StageRecord]
    """Label -> evaluation, in the order of the table."""
    export: StageRecord | None = None
    verify: StageRecord | None = None
    published_files: Mapping[str, str] | None = None
    """File of the export -> its name in the exports' repository."""
    pipeline_tag: str = "text-generation"

    @property
    def exports_repo(self) -> str:
        """Where the exports go."""
        return f"{self.repo}-GGUF"

    @property
    def files(self) -> tuple[ExportedFile, ...]:
        """The published exports, largest first."""
        if self.export is None:
            return ()
        return results.exported_files(self.export, self.verify, self.published_files or {})

    @property
    def recommended(self) -> ExportedFile | None:
        """The smallest file that passed its gate; none when no file did."""
        return min((file for file in self.files if file.passed), key=lambda file: file.bytes, default=None)


def model_card(data: CardData) -> str:
    """README.md of the checkpoint's repository.

    Raises jinja2.UndefinedError when a template asks for something that no record says.
    """
    head = metadata.model_metadata(
        name=data.repo.partition("/")[2],
        license=data.recipe.license,
        pipeline_tag=data.pipeline_tag,
        model=data.model,
        lineage=data.lineage,
        scores=data.scores,
    )
    return _fill("model.md.jinja", data, head)


def gguf_card(data: CardData) -> str:
    """README.md of the exports' repository.

    Raises ValueError when nothing was exported, jinja2.UndefinedError as in `model_card`.
    """
    if data.export is None:
        raise ValueError("a card of exports needs the record of an export")
    head = metadata.gguf_metadata(license=data.recipe.license, repo=data.repo)
    return _fill("gguf.md.jinja", data, head)


def _fill(template: str, data: CardData, head: str) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Markdown, not HTML: escaping would spoil code blocks, and the Hub cleans what it renders.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(shipped.folder("cards")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    writers = (tables.figure, tables.interval, tables.percent, tables.size, tables.span, tables.fenced)
    environment.filters.update({write.__name__: write for write in writers})
    return environment.get_template(template).render(head=head, card=data, **_facts(data))


def _command(recipe: RecipeFacts) -> str:
    overrides = "".join(f" --set {quote(override)}" for override in recipe.overrides)
    return "recipes run recipe.yaml" + overrides + (" --tiny" if recipe.tiny else "")


def _facts(data: CardData) -> dict[str, Any]:
    """What the templates say that is not a field of `data`, each from the records."""
    records = lineage.ordered(data.lineage)
    made_of = lineage.ancestors(data.lineage, data.model)
    publications = {data.repo: data.model}
    if data.export:
        publications[data.exports_repo] = f"stage:{data.export.key}"
    evaluated = list(dict.fromkeys(record.settings["split"] for record in data.scores.values()))
    return {
        "reproduce": _command(data.recipe),
        "tiny": any(record.tiny for record in records.values()),
        "bases": lineage.models(data.lineage, data.model),
        "agent": next((record.settings["agent"] for record in data.scores.values()), None),
        "own_score": next(
            (record for record in data.scores.values() if record.inputs.get("model") == data.model), None
        ),
        "splits": _SPLITS,
        "evaluated": evaluated,
        "not_evaluated": [split for split in _SPLITS if split not in evaluated],
        "scores_table": results.scores_table(data.scores, data.model) if data.scores else None,
        "comparisons": results.comparisons(data.scores),
        "stages_table": making.stages_table(records.values()),
        "exports_table": results.exports_table(data.files, data.recommended) if data.files else None,
        "training_data": making.training_data(made_of.values()),
        "drawing": lineage.drawing(data.lineage, publications),
        "seconds": sum(record.seconds for record in records.values()),
        "peak_memory_bytes": max((record.peak_memory_bytes for record in records.values()), default=None),
        "hardware": making.hardware(records.values()),
        "versions": making.versions(records.values()),
    }

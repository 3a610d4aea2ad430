"""Cards: records in, Markdown and pictures out. Pure: it reads the templates that come with the package, nothing else.

A number without a record cannot be written: templates are filled under StrictUndefined, with values read from records
only, and what did not run says *not run*. Of models, their exports, adapters, datasets made on the way, and Spaces.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from zoo import shipped
from zoo.cards import cost, lineage, making, metadata, plots, results, tables
from zoo.cards.results import ExportedFile
from zoo.licences import Licence, known
from zoo.records import StageRecord

__all__ = [
    "CardData",
    "PublishedRows",
    "RecipeFacts",
    "adapter_card",
    "dataset_card",
    "eval_results",
    "gguf_card",
    "model_card",
    "pictures",
    "space_card",
]

EVAL_RESULTS_FOLDER = ".eval_results"  # huggingface_hub.constants has it too; importing that here would cost start-up

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
    latency: StageRecord | None = None
    """What each file costs to run: metrics `q8_0.decode_tokens_per_second` and the like, see `zoo.cards.results`."""
    file_scores: Mapping[str, StageRecord] = field(default_factory=dict)
    """Type of a file (`q8_0`) -> the evaluation that acted with that very file."""
    adapter_of: StageRecord | None = None
    """The training stage whose adapter is published too."""
    rows: "tuple[PublishedRows, ...]" = ()
    """The data stages that are published too."""

    @property
    def adapter_repo(self) -> str:
        """Where the adapter goes."""
        return f"{self.repo}-adapter"

    @property
    def rows_repo(self) -> str:
        """Where the rows go: a dataset, with one configuration a data stage."""
        return f"{self.repo}-data"

    @property
    def exports_repo(self) -> str:
        """Where the exports go."""
        return f"{self.repo}-GGUF"

    @property
    def files(self) -> tuple[ExportedFile, ...]:
        """The published exports, largest first."""
        if self.export is None:
            return ()
        names = self.published_files or {}
        return results.exported_files(self.export, self.verify, names, self.latency, self.file_scores)

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


def adapter_card(data: CardData) -> str:
    """README.md of the adapter's repository.

    Raises ValueError when no adapter is published, jinja2.UndefinedError as in `model_card`.
    """
    if data.adapter_of is None:
        raise ValueError("a card of an adapter needs the record of the stage that trained it")
    base = lineage.hub_repo(data.adapter_of.inputs["model"])
    head = metadata.adapter_metadata(
        license=data.recipe.license, base=base[0] if base else "", kind=data.adapter_of.kind
    )
    return _fill("adapter.md.jinja", data, head, adapter_base=base)


def dataset_card(data: CardData, licence: str) -> str:
    """README.md of the rows' repository; `licence` is that of the rows, which may be another than the model's.

    Raises ValueError when no rows are published, jinja2.UndefinedError as in `model_card`.
    """
    if not data.rows:
        raise ValueError("a card of a dataset needs the records of data stages")
    counts = [rows.record.metrics.get("rows") for rows in data.rows]
    head = metadata.dataset_metadata(
        license=licence,
        name=data.rows_repo.partition("/")[2],
        rows=None if None in counts else round(sum(count.value for count in counts if count)),
        pictures=any(rows.pictures for rows in data.rows),
        sources=[hub[0] for rows in data.rows if (hub := lineage.hub_repo(rows.record.inputs.get("dataset", "")))],
        configurations=[rows.name for rows in data.rows],
    )
    made = {rows.name: rows.record for rows in data.rows}
    return _fill("dataset.md.jinja", data, head, rows_table=making.training_data(made.values()), rows_licence=licence)


def space_card(data: CardData, title: str, sdk_version: str) -> str:
    """README.md of a Space that shows the model and its files; `sdk_version` is Gradio's."""
    models = [data.repo, *([data.exports_repo] if data.files else [])]
    head = metadata.space_metadata(license=data.recipe.license, title=title, sdk_version=sdk_version, models=models)
    return _fill("space.md.jinja", data, head, title=title)


def pictures(data: CardData) -> dict[str, bytes]:
    """The PNG files that the cards show, by path; none where the records hold nothing to draw. Needs matplotlib."""
    draw: dict[str, Callable[[], bytes]] = {
        plots.SUCCESS: lambda: plots.draw_success(data.scores, data.model),
        plots.FILES: lambda: plots.draw_files(data.files, data.recommended),
        plots.TRAINING: lambda: plots.draw_training(_made_of(data).values()),
    }
    return {path: draw[path]() for path in _pictures(data)}


def eval_results(data: CardData) -> dict[str, str]:
    """`.eval_results/<world>.yaml` of the checkpoint's repository; nothing when it was not evaluated."""
    text = metadata.eval_results_yaml(data.scores, data.model, data.repo)
    world = next((record.settings["agent"]["world"] for record in data.scores.values()), "")
    return {f"{EVAL_RESULTS_FOLDER}/{world}.yaml": text} if text else {}


def _pictures(data: CardData) -> dict[str, str]:
    return plots.names(data.scores, data.files, _made_of(data).values())


def _made_of(data: CardData) -> dict[str, StageRecord]:
    return lineage.ancestors(data.lineage, data.model)


def _fill(template: str, data: CardData, head: str, **more: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Markdown, not HTML: escaping would spoil code blocks, and the Hub cleans what it renders.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(shipped.folder("cards")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    writers = (tables.figure, tables.interval, tables.number, tables.percent, tables.size, tables.span, tables.fenced)
    environment.filters.update({write.__name__: write for write in writers})
    return environment.get_template(template).render(head=head, card=data, **_facts(data), **more)


def _acted(scores: Mapping[str, StageRecord], trained: StageRecord | None) -> StageRecord | None:
    """The evaluation of a training stage's own result."""
    wanted = f"stage:{trained.key}" if trained else None
    return next((record for record in scores.values() if wanted and record.inputs.get("model") == wanted), None)


def _command(recipe: RecipeFacts) -> str:
    overrides = "".join(f" --set {quote(override)}" for override in recipe.overrides)
    return "recipes run recipe.yaml" + overrides + (" --tiny" if recipe.tiny else "")


def _facts(data: CardData) -> dict[str, Any]:
    """What the templates say that is not a field of `data`, each from the records."""
    records = lineage.ordered(data.lineage)
    made_of = _made_of(data)
    publications = {data.repo: data.model}
    if data.export:
        publications[data.exports_repo] = f"stage:{data.export.key}"
    if data.adapter_of:
        publications[data.adapter_repo] = f"stage:{data.adapter_of.key}"
    for rows in data.rows:
        publications[f"{data.rows_repo} ({rows.name})"] = f"stage:{rows.record.key}"
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
        "withheld": results.withheld(data.verify),
        "measured_table": results.measured_table(data.files, data.recommended) if data.files else None,
        "measured_on": making.hardware([data.latency]) if data.latency else None,
        "files_acted": any(file.success for file in data.files),
        "adapter_score": _acted(data.scores, data.adapter_of),
        "pictures": _pictures(data),
        "terms": known(data.recipe.license),
        "owner": data.repo.partition("/")[0],
        "made_in": max((record.started for record in records.values()), default=""),
        "energy": cost.energy(made_of.values()),
        "training_data": making.training_data(made_of.values()),
        "drawing": lineage.drawing(data.lineage, publications),
        "seconds": sum(record.seconds for record in records.values()),
        "peak_memory_bytes": max((record.peak_memory_bytes for record in records.values()), default=None),
        "hardware": making.hardware(records.values()),
        "versions": making.versions(records.values()),
    }

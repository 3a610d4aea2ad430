"""Cards: records in, Markdown and pictures out. Pure: it reads the templates that come with the package, nothing else.

A number without a record cannot be written: templates are filled under StrictUndefined, with values read from records
only, and what did not run says *not run*. Of models, their exports, adapters, datasets made on the way, and Spaces.
"""

from collections.abc import Callable, Mapping
from shlex import quote
from typing import Any

from zoo import shipped
from zoo.cards import cost, lineage, making, metadata, plots, results, tables
from zoo.cards.data import CardData, PublishedRows, RecipeFacts
from zoo.cards.exported import ExportedFile, Exports
from zoo.cards.worlds import world_of_rows
from zoo.formats import onnx_files
from zoo.licences import known
from zoo.records import StageRecord

__all__ = [
    "FILE_PLOTS",
    "CardData",
    "ExportedFile",
    "Exports",
    "PublishedRows",
    "RecipeFacts",
    "adapter_card",
    "dataset_card",
    "eval_results",
    "gguf_card",
    "model_card",
    "onnx_card",
    "pictures",
    "space_card",
]

FILE_PLOTS = (plots.FILES, plots.COST)
"""The pictures that the cards of exports show."""

EVAL_RESULTS_FOLDER = ".eval_results"  # huggingface_hub.constants has it too; importing that here would cost start-up

# What a template may call, by its own name.
_WRITERS = (
    tables.figure, tables.interval, tables.number, tables.percent, tables.size, tables.span, tables.fenced,
    making.hardware, results.exports_table, results.measured_table, results.withheld,
)  # fmt: skip

# What transformers.js calls the graph of that name (its `dtype`).
_DTYPES = {
    onnx_files.FILES[variant]: dtype
    for variant, dtype in {"fp32": "fp32", "fp16": "fp16", "int8": "q8", "int4": "q4"}.items()
}


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
        topics=_topics(data),
    )
    return _fill("model.md.jinja", data, head)


def gguf_card(data: CardData) -> str:
    """README.md of the GGUF files' repository.

    Raises ValueError when none were exported, jinja2.UndefinedError as in `model_card`.
    """
    if data.gguf is None:
        raise ValueError("a card of exports needs the record of an export")
    head = metadata.gguf_metadata(license=data.recipe.license, repo=data.repo, topics=_topics(data))
    return _fill("gguf.md.jinja", data, head, exports=data.gguf)


def onnx_card(data: CardData) -> str:
    """README.md of the ONNX graphs' repository.

    Raises ValueError when none were exported, jinja2.UndefinedError as in `model_card`.
    """
    if data.onnx is None:
        raise ValueError("a card of ONNX graphs needs the record of their export")
    head = metadata.onnx_metadata(license=data.recipe.license, repo=data.repo, topics=_topics(data))
    return _fill("onnx.md.jinja", data, head, exports=data.onnx, dtypes=_DTYPES)


def adapter_card(data: CardData) -> str:
    """README.md of the adapter's repository.

    Raises ValueError when no adapter is published, jinja2.UndefinedError as in `model_card`.
    """
    if data.adapter_of is None:
        raise ValueError("a card of an adapter needs the record of the stage that trained it")
    base = lineage.hub_repo(data.adapter_of.inputs["model"])
    head = metadata.adapter_metadata(
        license=data.recipe.license, base=base[0] if base else "", kind=data.adapter_of.kind, topics=_topics(data)
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
        topics=_topics(data),
    )
    made = {rows.name: rows.record for rows in data.rows}
    places = dict.fromkeys(world for record in made.values() if (world := world_of_rows(record)))
    table = making.training_data(made.values())
    return _fill("dataset.md.jinja", data, head, rows_table=table, rows_licence=licence, places=list(places))


def space_card(data: CardData, title: str, app: str) -> str:
    """README.md of a Space that shows the model and its files; `app` is the README.md that its app is shipped with,
    whose head says how the Hub builds it."""
    models = [data.repo, *(exports.repo for exports in data.exports)]
    licence = data.recipe.license
    head = metadata.space_metadata(license=licence, title=title, app=app, models=models, topics=_topics(data))
    return _fill("space.md.jinja", data, head, title=title)


def pictures(data: CardData) -> dict[str, bytes]:
    """The PNG files that the cards show, by path; none where the records hold nothing to draw. Needs matplotlib."""
    recommended = [exports.recommended for exports in data.exports if exports.recommended]
    draw: dict[str, Callable[[], bytes]] = {
        plots.SUCCESS: lambda: plots.draw_success(data.scores, data.model),
        plots.FILES: lambda: plots.draw_files(data.files, recommended),
        plots.COST: lambda: plots.draw_cost(data.files, recommended),
        plots.TRAINING: lambda: plots.draw_training(_made_of(data).values()),
    }
    return {path: draw[path]() for path in _pictures(data)}


def eval_results(data: CardData) -> dict[str, str]:
    """`.eval_results/<world>.yaml` of the checkpoint's repository; nothing when it was not evaluated."""
    text = metadata.eval_results_yaml(data.scores, data.model, data.repo)
    world = next((record.settings["agent"]["world"] for record in data.scores.values()), "")
    return {f"{EVAL_RESULTS_FOLDER}/{world}.yaml": text} if text else {}


def _topics(data: CardData) -> tuple[str, ...]:
    """The tags of its world; of a model that acts in none, none."""
    return world.tags if (world := data.world) else ()


def _pictures(data: CardData) -> dict[str, str]:
    return plots.names(data.scores, data.files, _made_of(data).values())


def _made_of(data: CardData) -> dict[str, StageRecord]:
    return lineage.ancestors(data.lineage, data.model)


def _fill(template: str, data: CardData, head: str, **more: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - Markdown: escaping would spoil code, and the Hub cleans what it renders
        loader=FileSystemLoader(shipped.folder("cards")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({write.__name__: write for write in _WRITERS})
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
    for exports in data.exports:
        publications[exports.repo] = f"stage:{exports.record.key}"
    if data.adapter_of:
        publications[data.adapter_repo] = f"stage:{data.adapter_of.key}"
    for rows in data.rows:
        publications[f"{data.rows_repo} ({rows.name})"] = f"stage:{rows.record.key}"
    evaluated = list(dict.fromkeys(record.settings["split"] for record in data.scores.values()))
    if data.space:
        publications[f"Space {data.repo}"] = data.model
    world = data.world
    return {
        "reproduce": _command(data.recipe),
        "tiny": any(record.tiny for record in records.values()),
        "bases": lineage.models(data.lineage, data.model),
        "agent": data.acted.settings["agent"] if data.acted else None,
        "own_score": data.own_score,
        "world": world,
        "page_holds_world": world is not None and world.on_a_page,
        "evaluated": evaluated,
        "not_evaluated": [split for split in world.splits if split not in evaluated] if world else [],
        "scores_table": results.scores_table(data.scores, data.model) if data.scores else None,
        "comparisons": results.comparisons(data.scores),
        "stages_table": making.stages_table(records.values()),
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

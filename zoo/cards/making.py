"""How a model was made: its stages, the rows it learned from, the machines and libraries, as the records say."""

from collections.abc import Iterable, Mapping

from zoo.cards.lineage import hub_repo, is_rows
from zoo.cards.tables import figure, number, percent, size, span, table
from zoo.records import Metric, StageRecord

__all__ = ["hardware", "stages_table", "training_data", "versions"]

# The figures of a kind of stage that a reader looks for first; any other kind shows what its record begins with.
_KEY_FIGURES = {
    "data": ("rows", "tasks"),
    "evaluate": ("success_rate",),
    "sft": ("train_loss", "tokens"),
    "distill": ("train_loss", "divergence", "tokens"),
    "logits": ("kept_mass", "bytes"),
    "merge": ("distance_from_base",),
}
_MOST_FIGURES = 3


def stages_table(records: Iterable[StageRecord]) -> str:
    """One row a stage: what it cost and the figures that a reader looks for first."""
    rows = [
        [record.name, record.kind, span(record.seconds), size(record.peak_memory_bytes), _key_figures(record)]
        for record in records
    ]
    return table(["stage", "kind", "time", "peak memory", "key figures"], rows, "llrrl")


def _key_figures(record: StageRecord) -> str:
    if record.kind in ("gguf", "verify"):
        return "see Files"
    shown = _changes(record.metrics)
    wanted = [name for name in _KEY_FIGURES.get(record.kind, ()) if name in record.metrics]
    if not shown:
        shown = [_named(name, record.metrics[name]) for name in wanted or record.metrics]
    return ", ".join(shown[:_MOST_FIGURES]) or "-"


def _changes(metrics: Mapping[str, Metric]) -> list[str]:
    """What a record tells of the beginning and of the end of training, such as a mean reward."""
    names = [name.removesuffix("_start") for name in metrics if name.endswith("_start")]
    return [
        f"{name.replace('_', ' ')} {number(metrics[f'{name}_start'])} → {figure(metrics[f'{name}_end'])}"
        for name in names
        if f"{name}_end" in metrics
    ]


def _named(name: str, metric: Metric) -> str:
    text = percent(metric) if metric.low is not None else figure(metric)
    return text if metric.unit == name else f"{name.replace('_', ' ')} {text}"


def training_data(records: Iterable[StageRecord]) -> str:
    """One row for each set of rows that these stages made or read from a Hub; empty when there is none."""
    rows = []
    for record in records:
        sources = [hub for place, source in record.inputs.items() if is_rows(place) and (hub := hub_repo(source))]
        count = _row_count(record)
        rows += [[f"`{repo}`", f"`{revision}`", record.name, count] for repo, revision in sources]
        if not sources and record.kind in ("data", "tiny-rows"):
            rows.append([_scripted(record), f"seed {record.seed}", record.name, count])
    return table(["rows", "revision", "read by stage", "count"], rows, "lllr") if rows else ""


def _row_count(record: StageRecord) -> str:
    """How many rows a stage made (a metric) or read (trainers note it)."""
    noted = record.notes.get("rows")
    return figure(record.metrics.get("rows") or (Metric(noted, "rows") if isinstance(noted, int) else None))


def _scripted(record: StageRecord) -> str:
    if record.kind == "tiny-rows":
        return "rows made on the spot for the tiny twin"
    settings = record.settings
    if settings["source"] == "dataset":
        form = settings.get("format", "openphone")
        return "a dataset in OpenPhone's columns" if form == "openphone" else f"a dataset of the format {form}"
    if settings["source"] == "mix":
        return f"a mixture of {len(settings['mix'])} sources"
    if settings["source"] == "agent":
        keep = settings.get("keep", "successful")
        return f"episodes of a model ({keep}), split `{settings['split']}`, {settings['tasks']:,} tasks"
    detours = f", {100 * settings['detours']:.0f} % with a detour" if settings["detours"] else ""
    return f"scripted expert, split `{settings['split']}`, {settings['tasks']:,} tasks{detours}"


def hardware(records: Iterable[StageRecord]) -> str:
    """One row for each machine, and the stages that ran on it."""
    stages: dict[str, list[str]] = {}
    for record in records:
        machine = ", ".join(_part(name, value) for name, value in record.hardware.items())
        stages.setdefault(machine, []).append(record.name)
    return table(["machine", "stages"], [[machine, ", ".join(names)] for machine, names in stages.items()], "ll")


def _part(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{name.removesuffix('_bytes')} {size(value)}"
    return str(value) if isinstance(value, str) else f"{value} {name}"


def versions(records: Iterable[StageRecord]) -> str:
    """One row for each library; several versions when stages ran with different ones."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for library, version in record.versions.items():
            found.setdefault(library, {})[version] = None
    return table(["library", "version"], [[name, ", ".join(all_of)] for name, all_of in sorted(found.items())], "ll")

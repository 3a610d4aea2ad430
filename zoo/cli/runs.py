"""Commands that plan and run a recipe: plan, run, status."""

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console

from zoo import checkpoints_on_hub, forecast, machine, preflight
from zoo.cache import Cache, Finished, default_root
from zoo.checkpoints_on_hub import Place, keeping
from zoo.cli import licensing, publishing
from zoo.cli.display import LiveWatch, curve, forecast_text, plan_table, results_table, second_text
from zoo.cli.library import find, overrides, tiny
from zoo.cli.outside import Outside, published_texts
from zoo.errors import CacheError, HubError, Problem, RecipeError, did_you_mean
from zoo.forecast import Forecast
from zoo.licences import Licence
from zoo.plan import PlannedStage, lock, selected
from zoo.plan import plan as make_plan
from zoo.recipe import LoadedRecipe, load
from zoo.refs import StageRef
from zoo.runner import Runner, Watch
from zoo.trainers.history import HISTORY_NAME

__all__ = ["plan", "run", "status"]

_offline = click.option("--offline", is_flag=True, help="Ask the embedded Hub only, never the public one.")
_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON line on standard output.")


@click.command()
@click.argument("recipe")
@overrides
@tiny
@_offline
@_as_json
def plan(recipe: str, overrides: tuple[str, ...], tiny: bool, offline: bool, as_json: bool) -> None:
    """Print what a run would do, and what it would need. Imports no torch, downloads no weights."""
    loaded = load(find(recipe), overrides, tiny=tiny)
    outside = Outside(default_root(), offline or tiny)
    stages = make_plan(loaded.recipe, outside.identify, published_texts(loaded))
    needed = preflight.needs(stages, outside.base_model)
    known = forecast.forecasts(stages, outside.cache, outside.base_model)
    rows = [_row(stage, outside.cache, needed.get(stage.name), known.get(stage.name)) for stage in stages]
    if as_json:
        click.echo(json.dumps({"recipe": loaded.name, "stages": rows, "unreachable": _unreachable(outside)}))
        return
    console = Console()
    _print_plan(console, loaded, outside, rows)
    for name, one in known.items():
        console.print(forecast_text(name, one), highlight=False)
    for name, need in needed.items():
        if problem := preflight.memory_problem(loaded.recipe.hardware, name, need):
            console.print(f"[yellow]{problem}[/]")
    if wrong := preflight.problems(loaded, stages, outside.base_model) + _licences(loaded, outside, stages)[1]:
        raise RecipeError(wrong)


@click.command()
@click.argument("recipe")
@overrides
@tiny
@click.option("--from", "first", metavar="STAGE", help="This stage and what rests on it; the rest must be cached.")
@click.option("--until", "last", metavar="STAGE", help="This stage and what it rests on.")
@click.option(
    "--only", multiple=True, metavar="STAGE", help="These stages alone, each named so; what they read must be cached."
)
@click.option("--force", multiple=True, metavar="STAGE", help="Make this stage anew although it is cached.")
@click.option(
    "--push/--no-push", default=None, help="Publish to the public Hub / publish nowhere. Default: embedded Hub."
)
@click.option("--overwrite", is_flag=True, help="Write over a card that somebody edited on the Hub.")
@click.option("--yes", is_flag=True, help="Do not ask before publishing to the public Hub.")
@click.option(
    "--checkpoints-to",
    "kept_at",
    metavar="OWNER/NAME[@BRANCH]",
    help="Keep finished stages and checkpoints on the Hub.",
)
@click.option("--device", default="auto", help="cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="How many train one model whose global_batch is fixed. Default: one a GPU.",
)
@_offline
@_as_json
def run(
    recipe: str,
    overrides: tuple[str, ...],
    tiny: bool,
    first: str | None,
    last: str | None,
    only: tuple[str, ...],
    force: tuple[str, ...],
    push: bool | None,
    overwrite: bool,
    yes: bool,
    kept_at: str | None,
    device: str,
    processes: int | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Run a recipe; what is finished is not done again."""
    started = time.perf_counter()
    loaded = load(find(recipe), overrides, tiny=tiny)
    _check_names(loaded, [name for name in (first, last, *only, *force) if name])
    outside = Outside(default_root(), offline or tiny)
    console = Console(stderr=as_json)
    with outside.cache.lock(loaded.name), outside.keeping_place(kept_at, offline) as kept:
        stages = make_plan(loaded.recipe, outside.identify, published_texts(loaded))
        names = selected(stages, first=first, last=last, only=only)
        count = processes or machine.processes(machine.device(device))
        forecast.forecasts(stages, outside.cache, outside.base_model, machine.device(device), count)
        licences = _before(console, loaded, outside, stages, names)
        where = publishing.target(push, yes, outside, stages, names)
        if kept:
            checkpoints_on_hub.check(kept, loaded)
            checkpoints_on_hub.restore(kept, outside.cache, stages, lambda line: console.print(line, highlight=False))
        finished = _carry_out(console, loaded, outside, stages, names, force, (device, processes), licences, kept)
        published = publishing.publish(console, loaded, outside, finished, names, where, overwrite)
    console.print(results_table({name: done for name, done in finished.items() if name in names}))
    console.print(f"done in {second_text(time.perf_counter() - started)}")
    if as_json:
        click.echo(json.dumps(_json_result(loaded, finished, published)))


@click.command()
@click.argument("recipe")
@overrides
@tiny
@_offline
@_as_json
def status(recipe: str, overrides: tuple[str, ...], tiny: bool, offline: bool, as_json: bool) -> None:
    """Print which stages of a recipe are finished, and where they lie."""
    loaded = load(find(recipe), overrides, tiny=tiny)
    outside = Outside(default_root(), offline or tiny)
    rows: list[dict[str, Any]] = []
    for stage in make_plan(loaded.recipe, outside.identify, published_texts(loaded)):
        state = _state(stage, outside.cache)
        found = outside.cache.find(str(stage.key)) if state == "cached" else None
        rows.append(
            {
                "stage": stage.name,
                "state": state,
                "folder": str(found.folder) if found else None,
                "log": str(outside.cache.log_file(stage.key)) if stage.key else None,
                "metrics": {name: asdict(metric) for name, metric in found.record.metrics.items()} if found else {},
                "history": _history(stage, outside.cache, found),
            }
        )
    if as_json:
        click.echo(json.dumps({"recipe": loaded.name, "stages": rows}))
        return
    for row in rows:
        drawn = curve(Path(row["history"])) if row["history"] else ""
        click.echo(f"{row['stage']:<14} {row['state']:<9} {row['folder'] or ''}{drawn}")


def _history(stage: PlannedStage, cache: Cache, found: Finished | None) -> str | None:
    """What a training stage logged of its steps, finished or not."""
    folder = found.folder if found else cache.root / "scratch" / str(stage.key)
    file = folder / HISTORY_NAME
    return str(file) if file.is_file() else None


def _row(stage: PlannedStage, cache: Cache, need: Any, known: Forecast | None = None) -> dict[str, Any]:
    reads = [item.ref.name if isinstance(item.ref, StageRef) else str(item.ref) for item in stage.inputs.values()]
    return {
        "stage": stage.name,
        "kind": stage.kind,
        "state": _state(stage, cache),
        "key": stage.key,
        "reads": list(dict.fromkeys(reads)),
        "memory_bytes": need.memory_bytes if need else None,
        "disk_bytes": need.disk_bytes if need else None,
        **(known.as_data() if known else {}),
    }


def _state(stage: PlannedStage, cache: Cache) -> str:
    if stage.key is None:
        return "unknown"
    try:
        if cache.find(stage.key):
            return "cached"
    except CacheError:
        return "damaged"
    return "goes on" if cache.has_scratch(stage.key) else "to do"


def _unreachable(outside: Outside) -> dict[str, str]:
    return {str(ref): reason for ref, reason in outside.unreachable.items()}


def _print_plan(console: Console, loaded: LoadedRecipe, outside: Outside, rows: list[dict[str, Any]]) -> None:
    console.print(f"[bold]{loaded.name}[/]  {loaded.recipe.summary}")
    if loaded.tiny:
        console.print(
            "[yellow]tiny twin: two-layer models made on the spot; it proves the plumbing, not any quality[/]"
        )
    console.print(plan_table(rows))
    for reason in outside.unreachable.values():
        console.print(f"[red]{reason}[/]", highlight=False)


def _check_names(loaded: LoadedRecipe, names: Iterable[str]) -> None:
    for name in names:
        if name not in loaded.recipe.stages:
            raise click.UsageError(f"there is no stage {name!r}; {did_you_mean(name, list(loaded.recipe.stages))}")


def _before(
    console: Console, loaded: LoadedRecipe, outside: Outside, stages: list[PlannedStage], names: list[str]
) -> dict[str, Licence]:
    """Everything that can be known before anything runs; the licence of each publication is one such thing."""
    if outside.unreachable:
        raise HubError("\n".join(dict.fromkeys(outside.unreachable.values())))
    needed = preflight.needs(stages, outside.base_model)
    _print_plan(console, loaded, outside, [_row(stage, outside.cache, needed.get(stage.name)) for stage in stages])
    licences, refused = _licences(loaded, outside, stages, names)
    if wrong := preflight.problems(loaded, stages, outside.base_model) + refused:
        raise RecipeError(wrong)
    to_do = [stage for stage in stages if stage.name in names and _state(stage, outside.cache) in ("to do", "goes on")]
    cached = [stage.name for stage in stages if _state(stage, outside.cache) == "cached"]
    preflight.check_left_out(to_do, names, cached)
    preflight.check_extras(to_do, everything=stages)
    preflight.check_sources(to_do)
    preflight.check_disk(to_do, needed, outside.home)
    return licences


def _licences(
    loaded: LoadedRecipe, outside: Outside, stages: list[PlannedStage], names: list[str] | None = None
) -> tuple[dict[str, Licence], list[Problem]]:
    """Of each publication; nothing is said of them while a Hub cannot be asked."""
    if outside.unreachable:
        return {}, []
    return licensing.licences(
        loaded, stages, outside.card, [stage.name for stage in stages] if names is None else names
    )


def _carry_out(
    console: Console,
    loaded: LoadedRecipe,
    outside: Outside,
    stages: list[PlannedStage],
    names: list[str],
    force: tuple[str, ...],
    asked: tuple[str, int | None],
    licences: Mapping[str, Licence],
    kept: Place | None,
) -> dict[str, Finished]:
    watch = LiveWatch(console)
    resolved = lock(
        loaded.recipe,
        stages,
        machine.versions(),
        tiny=loaded.tiny,
        overrides=loaded.overrides,
        licences=licensing.as_data(licences),
    )
    files = {**loaded.texts, "recipe.lock.yaml": yaml.safe_dump(resolved, sort_keys=False)}
    with outside.fetcher() as fetch, _watching(console, watch, loaded, outside.cache, kept) as watching:
        device = machine.device(asked[0])
        processes = asked[1] or machine.processes(device)
        runner = Runner(outside.cache, fetch, watching, device, loaded.tiny, files, processes)
        try:
            return runner.run(stages, names, force)
        finally:
            watch.close()


def _watching(
    console: Console, watch: Watch, loaded: LoadedRecipe, cache: Cache, kept: Place | None
) -> AbstractContextManager[Watch]:
    if kept is None:
        return nullcontext(watch)
    return keeping(kept, loaded, cache, watch, lambda line: console.print(f"[yellow]{line}[/]", highlight=False))


def _json_result(
    loaded: LoadedRecipe, finished: Mapping[str, Finished], published: list[dict[str, str]]
) -> dict[str, Any]:
    stages = {
        name: {
            "key": done.record.key,
            "seconds": done.record.seconds,
            "folder": str(done.folder),
            "metrics": {key: asdict(metric) for key, metric in done.record.metrics.items()},
        }
        for name, done in finished.items()
    }
    return {"recipe": loaded.name, "tiny": loaded.tiny, "stages": stages, "published": published}

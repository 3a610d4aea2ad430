"""What a page on this machine is made of: a finished run, a repository of a Hub, or a model made on the spot."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from zoo import hub
from zoo.cache import Finished, default_root
from zoo.cli.library import find
from zoo.cli.outside import Outside, published_texts
from zoo.errors import HubError, RecipeError, ZooError
from zoo.formats import gguf_names
from zoo.hub import Endpoint
from zoo.plan import plan
from zoo.recipe import load
from zoo.records import StageRecord
from zoo.refs import HubRef, parse
from zoo.schema import AgentSpec, Recipe
from zoo.space import (
    RECIPE_NAME,
    SETTINGS_NAME,
    SpaceModel,
    SpaceSettings,
    models_in,
    read_records,
    read_settings,
    recorded,
    settings_of_records,
    settings_of_run,
)

__all__ = ["PAGES", "Page", "made_on_the_spot", "of_recipe", "published"]

PAGES = "pages"
_EPISODES = "episodes.jsonl"
_GGUF = "-GGUF"
_TINY_TYPES = ("f16", "q8_0")


@dataclass(frozen=True)
class Page:
    """What a page is made of."""

    settings: SpaceSettings
    records: Mapping[str, StageRecord] = field(default_factory=dict)
    episodes: Mapping[str, str] = field(default_factory=dict)
    recipe: str | None = None


def of_recipe(what: str, tiny: bool, offline: bool) -> Page | None:
    """The page of a recipe's finished stages; None when no recipe has this name, or nothing of it is finished and a
    model of the zoo may be meant."""
    try:
        loaded = load(find(what), tiny=tiny)
    except RecipeError:
        if what.endswith((".yaml", ".yml")):
            raise
        return None
    outside = Outside(default_root(), offline or tiny)
    stages = plan(loaded.recipe, outside.identify, published_texts(loaded))
    done = {stage.name: found for stage in stages if stage.key and (found := outside.cache.find(stage.key))}
    models = _models(loaded.recipe, done)
    if not models and "/" not in what and not what.endswith((".yaml", ".yml")):
        return None
    if not models:
        raise ZooError(f"{loaded.name}: no model of it is finished; run it first: recipes run {what}")
    records = {name: found.record for name, found in done.items() if found.record.kind != "tiny"}
    episodes = {
        name: recorded(found.record, (found.folder / _EPISODES).read_text("utf-8"))
        for name, found in done.items()
        if found.record.kind == "evaluate" and (found.folder / _EPISODES).is_file()
    }
    settings = settings_of_run(loaded.recipe, records, models)
    shown = list(settings.scores.values())[-1:]  # of the stage that is published, as a Space has it
    text = next(iter(loaded.texts.values()), None)
    return Page(settings, records, {name: lines for name, lines in episodes.items() if name in shown}, text)


def _models(recipe: Recipe, done: Mapping[str, Finished]) -> list[SpaceModel]:
    """The exported files, and the checkpoint that they were made of; the last stage of a name wins."""
    title = gguf_names.title(recipe.name)
    found: dict[str, SpaceModel] = {}
    for one in done.values():
        if one.record.kind in ("gguf", "onnx"):
            found |= {model.name: model for model in models_in(one.folder, title)}
    exported = [one.record.inputs.get("model", "").removeprefix("stage:") for one in done.values()]
    for one in done.values():
        if one.record.kind in ("sft", "grpo", "merge") and one.record.key in exported and found:
            found |= {model.name: model for model in models_in(one.folder, f"{title} {one.record.name}")}
    return list(found.values())


@contextmanager
def published(what: str, offline: bool) -> Iterator[tuple[Page, Endpoint]]:
    """The page of a repository, while the Hub that has it is there to be asked for its files."""
    from zoo.cli.zoo import named

    repository = what
    if listed := named(what, offline):
        repository = listed[0]
    try:
        ref = parse(repository.removesuffix(_GGUF))
    except ValueError as error:
        raise ZooError(f"{what}: no recipe, no model of the zoo and no repository: {error}") from error
    if not isinstance(ref, HubRef):
        raise ZooError(f"{what} is no repository; write owner/name")
    with Outside(default_root(), offline).embedded() as embedded:
        endpoints = [embedded] if offline else [embedded, hub.public_endpoint()]
        model = hub.pin(ref, "model", endpoints)
        yield _space_of(ref, model.endpoint) or _from_records(model), model.endpoint


def _space_of(ref: HubRef, endpoint: Endpoint) -> Page | None:
    """The page of its Space, where it has one."""
    try:
        space = hub.pin(HubRef(ref.repo), "space", [endpoint])
    except HubError:
        return None
    folder = hub.fetch(space, only=[SETTINGS_NAME, "records/*", "episodes/*", RECIPE_NAME])
    settings = read_settings(folder).model_copy(update={"local": True, "hub": endpoint.url})
    episodes = {file.stem: file.read_text("utf-8") for file in sorted((folder / "episodes").glob("*.jsonl"))}
    recipe = folder / RECIPE_NAME
    return Page(settings, read_records(folder), episodes, recipe.read_text("utf-8") if recipe.is_file() else None)


def _from_records(model: hub.Pinned) -> Page:
    there = hub.files(model)
    wanted = [path for path in there if path.startswith("records/") or path == RECIPE_NAME]
    folder = hub.fetch(model, only=wanted) if wanted else Path()
    records = read_records(folder) if wanted else {}
    recipe = folder / RECIPE_NAME
    files = _gguf_files(model)
    if not files:
        raise ZooError(f"{model.repo}{_GGUF} and {model.repo} hold no .gguf file; name a repository that does")
    settings = settings_of_records(model.repo, model.endpoint.url, records, files)
    return Page(settings, records, {}, recipe.read_text("utf-8") if wanted and recipe.is_file() else None)


def _gguf_files(model: hub.Pinned) -> list[SpaceModel]:
    for repo in (f"{model.repo}{_GGUF}", model.repo):
        try:
            pinned = hub.pin(HubRef(repo), "model", [model.endpoint])
        except HubError:
            continue
        sizes = {path: size for path, size in hub.files(pinned).items() if path.endswith(".gguf")}
        found = [
            SpaceModel(
                name=path.removesuffix(".gguf"), repository=repo, revision=pinned.commit, file=path, bytes=size,
                type=gguf_names.type_of(path), recommended="q8_0" in path.lower(),
            )
            for path, size in sizes.items() if not path.startswith(("mmproj", "adapter"))
        ]  # fmt: skip
        if found:
            return found
    return []


def made_on_the_spot() -> Page:
    """A model of two layers as two files, in the folder that the page lies in."""
    from zoo.cli.models import be_quiet
    from zoo.exports.gguf import convert
    from zoo.tiny import make

    folder = default_root() / PAGES / "tiny-models"
    if not all((folder / f"model-{kind.upper()}.gguf").is_file() for kind in _TINY_TYPES):
        click.echo("making a model of two layers", err=True)
        be_quiet()
        shutil.rmtree(folder, ignore_errors=True)
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        (part / "checkpoint").mkdir(parents=True)
        make("llama", part / "checkpoint", seed=0)
        for kind in _TINY_TYPES:
            convert(part / "checkpoint", part / f"model-{kind.upper()}.gguf", kind)
        part.replace(folder)
    agent = AgentSpec(style="terse", observation="terse", memory_steps=3, rounds=6, answer_tokens=48, constrained=True)
    settings = SpaceSettings(
        title="Tiny", summary="A model of two layers, made on the spot.", agent=agent,
        models=tuple(models_in(folder, "Tiny")), local=True, tiny=True,
    )  # fmt: skip
    return Page(settings)

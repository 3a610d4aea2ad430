"""Where a run publishes to, asked once and before anything is trained; and what it made, brought there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from shlex import quote
from typing import Literal

import click
from rich.console import Console

from zoo import estimate, hub, index, preflight
from zoo.cache import Finished
from zoo.cli.display import byte_text
from zoo.cli.outside import Outside
from zoo.errors import ZooError
from zoo.hub import Endpoint
from zoo.index import Entry
from zoo.plan import PlannedStage
from zoo.publish import Published, enter, repositories
from zoo.publish import push as push_folder
from zoo.recipe import LoadedRecipe
from zoo.refs import StageRef
from zoo.schema import PublishSpec

__all__ = ["Target", "publish", "target"]

Target = Endpoint | Literal["embedded"] | None
"""The public Hub, the embedded one, or nowhere."""


def target(
    push: bool | None, yes: bool, outside: Outside, stages: Sequence[PlannedStage], names: Sequence[str]
) -> Target:
    """Where the run publishes to. Of the public Hub, the token's rights are checked and the user is asked, once.

    Raises HubError for a token without the right, click's Abort for a no.
    """
    publications = [stage for stage in stages if stage.name in names and isinstance(stage.spec, PublishSpec)]
    if push is None or not publications:
        return "embedded" if publications else None
    if not push:
        return None
    endpoint = hub.public_endpoint()
    for stage in publications:
        assert isinstance(stage.spec, PublishSpec)
        hub.check_rights(endpoint, stage.spec.repo)
    lines = [line for stage in publications for line in _lines(stage, stages, outside)]
    question = "\n".join([f"To {endpoint.url}, when every gate has passed:", *lines, "Publish?"])
    if not yes and not click.confirm(question, err=True):
        raise click.exceptions.Abort
    return endpoint


def publish(
    console: Console,
    loaded: LoadedRecipe,
    outside: Outside,
    finished: Mapping[str, Finished],
    names: Sequence[str],
    where: Target,
    overwrite: bool,
) -> list[dict[str, str]]:
    """Push every publication of a run, and enter it into the index of the Hub. What was pushed, for `--json`."""
    published: list[dict[str, str]] = []
    for name, done in finished.items():
        spec = loaded.recipe.stages[name]
        if where is None or name not in names or not isinstance(spec, PublishSpec):
            continue
        with outside.embedded() if where == "embedded" else nullcontext(where) as endpoint:
            pushed = push_folder(
                done.folder,
                spec.repo,
                endpoint,
                private=spec.private,
                message=f"{loaded.name} version {loaded.recipe.version}",
                overwrite=overwrite,
                tag=f"v{loaded.recipe.version}" if spec.tag else "",
                collection=spec.collection or "",
            )
            for repo in pushed:
                console.print(f"[green]→[/] {repo.kind} {repo.repo}@{repo.commit[:10]}", highlight=False)
                published.append(asdict(repo))
            entered = _enter(console, done, pushed, endpoint)
        if spec.export:
            console.print(f"  {_act_line(spec, loaded, entered)}", highlight=False, soft_wrap=True)
    return published


def _act_line(spec: PublishSpec, loaded: LoadedRecipe, entered: Entry | None) -> str:
    """The command that lets what was published act: a model that the index does not list knows no recipe."""
    if entered is not None:
        return f"recipes act --model {entered.name}"
    return f"recipes act --model {spec.repo}-GGUF --recipe {quote(str(loaded.path))}"


def _enter(console: Console, done: Finished, pushed: list[Published], endpoint: Endpoint) -> Entry | None:
    """Into the Hub's index of the zoo. A publication stands without it, so a refusal is said and fails nothing."""
    try:
        entry = enter(done.folder, pushed, endpoint)
        console.print(f"[green]→[/] entered as {entry.name} into {index.REPOSITORY}", highlight=False)
        return entry
    except ZooError as error:
        console.print(f"[yellow]not entered into {index.REPOSITORY}: {error}[/]", highlight=False)
        return None


def _lines(stage: PlannedStage, stages: Sequence[PlannedStage], outside: Outside) -> Iterator[str]:
    """What goes where, how large, and who sees it; a line each."""
    spec = stage.spec
    assert isinstance(spec, PublishSpec)
    sizes = _sizes(stage, stages, outside)
    for folder, repo in repositories(spec).items():
        size = sizes.get(folder)
        shown = "size known when it is made" if size is None else f"about {byte_text(size)}"
        yield f"  {repo}, {'private' if spec.private else 'public'}, {shown}"
    for branch in spec.branches:
        yield f"  {spec.repo}, branch {branch}"
    if spec.collection:
        yield f"  collection {spec.collection!r}"


def _sizes(stage: PlannedStage, stages: Sequence[PlannedStage], outside: Outside) -> dict[str, int]:
    """Folder of the publication -> bytes: counted where it was laid out before, else estimated."""
    done = outside.cache.find(stage.key) if stage.key else None
    if done:
        found: dict[str, int] = {}
        for path, facts in done.record.files.items():
            folder = path.partition("/")[0]
            found[folder] = found.get(folder, 0) + int(facts["bytes"])
        return found
    base = preflight.base_of(stages, stage)
    model = outside.base_model(base) if base else None
    spec = stage.spec
    if model is None or not isinstance(spec, PublishSpec):
        return {}
    by_name = {other.name: other.spec for other in stages}
    found = {}
    if isinstance(spec.model, StageRef) and (weights := estimate.weights(by_name[spec.model.name], model.config)):
        found["model"] = weights
    if isinstance(spec.export, StageRef) and (files := estimate.need(by_name[spec.export.name], model.config)):
        found["GGUF"] = files.disk_bytes
    return found

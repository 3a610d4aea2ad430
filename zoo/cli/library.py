"""Commands that read recipes and run nothing: ls, show, cp, check, schema."""

import json
from pathlib import Path
from typing import Any

import click

from zoo import shipped, source
from zoo.errors import Problem, RecipeError, did_you_mean

__all__ = ["check", "cp", "find", "ls", "overrides", "schema", "show", "tiny"]

overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting: --set sft.trl.learning_rate=1e-4"
)
tiny = click.option("--tiny", is_flag=True, help="The tiny twin: same graph, same code, two-layer models, no network.")


def find(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that comes with the package.

    Raises RecipeError, with the nearest name, when there is neither.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or "/" in name:
        if path.is_file():
            return path
        known = [str(file) for file in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        raise RecipeError([Problem(name, "there is no such file", did_you_mean(name, known))])
    file = shipped.folder("recipes") / f"{name}.yaml"
    if file.is_file():
        return file
    known = [file.stem for file in shipped.folder("recipes").glob("*.yaml")]
    raise RecipeError([Problem(name, "there is no such recipe", did_you_mean(name, known))])


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
def ls(as_json: bool) -> None:
    """List the recipes that come with the package."""
    rows = [_summary(file) for file in sorted(shipped.folder("recipes").glob("*.yaml"))]
    if as_json:
        click.echo(json.dumps(rows))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['name']:<{width}}  {row['summary']}")


def _summary(file: Path) -> dict[str, Any]:
    data = source.parse(file.read_text("utf-8"), file.name).data
    return {key: data.get(key, "") for key in ("name", "version", "summary", "license")}


@click.command()
@click.argument("recipe")
@click.option("--resolved", is_flag=True, help="With inheritance and overrides applied and defaults filled in.")
@overrides
@tiny
def show(recipe: str, resolved: bool, overrides: tuple[str, ...], tiny: bool) -> None:
    """Print a recipe, as written or resolved."""
    path = find(recipe)
    if not (resolved or overrides or tiny):
        click.echo(path.read_text("utf-8"), nl=False)
        return
    import yaml

    from zoo.recipe import load

    loaded = load(path, overrides, tiny=tiny).recipe
    head = loaded.model_dump(mode="json", exclude={"stages"}, exclude_none=True)
    stages = {name: spec.model_dump(mode="json", exclude_none=True) for name, spec in loaded.stages.items()}
    click.echo(yaml.safe_dump({**head, "stages": stages}, sort_keys=False, allow_unicode=True), nl=False)


@click.command()
@click.argument("recipe")
@click.argument("destination", type=click.Path(path_type=Path), default=".")
def cp(recipe: str, destination: Path) -> None:
    """Copy a recipe, to make it yours. An existing file is never overwritten."""
    path = find(recipe)
    target = destination / path.name if destination.is_dir() else destination
    if target.exists():
        raise click.ClickException(f"{target} exists already; give another name")
    if not target.parent.is_dir():
        raise click.ClickException(f"there is no folder {target.parent}; make it first")
    target.write_text(path.read_text("utf-8"), "utf-8")
    click.echo(str(target))


@click.command()
@click.argument("recipe")
@overrides
@tiny
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
def check(recipe: str, overrides: tuple[str, ...], tiny: bool, as_json: bool) -> None:
    """Say everything that is wrong with a recipe, with file and line. Needs no network and no torch."""
    from zoo.recipe import load

    try:
        loaded = load(find(recipe), overrides, tiny=tiny)
    except RecipeError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "problems": [vars(problem) for problem in error.problems]}))
            raise click.exceptions.Exit(error.exit_code) from error
        raise
    if as_json:
        click.echo(json.dumps({"ok": True, "name": loaded.name, "stages": list(loaded.recipe.stages)}))
    else:
        click.echo(f"{loaded.name}: {len(loaded.recipe.stages)} stages, nothing wrong")


@click.command()
def schema() -> None:
    """Print the JSON Schema of a recipe, for editors."""
    from zoo.json_schema import recipe_schema

    click.echo(json.dumps(recipe_schema(), indent=2))

"""The command that lists published models: zoo. And what a name of one stands for, for the commands that take it."""

import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from shutil import which

import click
from rich.console import Console
from rich.table import Table

from zoo import hub as client
from zoo import index
from zoo.cache import default_root
from zoo.cli.display import byte_text
from zoo.cli.outside import Outside
from zoo.errors import ZooError
from zoo.index import Entry
from zoo.records import Metric

__all__ = ["entries", "named", "zoo"]

_COLUMNS = {"model": 11, "repository": 12, "size": 9, "world": 9, "success": 9, "file": 10, "recipe": 8}
"""Heading -> the fewest characters of its column, so that a narrow terminal folds names and no heading."""


@click.command()
@click.option("--table", "as_table", is_flag=True, help="README's table: the last whole run of each recipe.")
@click.option("--add", "recipe", metavar="RECIPE", help="Keep what a finished run measured, for README's table.")
@click.option("--all", "everything", is_flag=True, help="Also what tiny twins published, which proves plumbing only.")
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
@click.option("--json", "as_json", is_flag=True, help="The index as JSON, as it is kept on a Hub.")
def zoo(as_table: bool, recipe: str | None, everything: bool, offline: bool, as_json: bool) -> None:
    """List the models that recipes published: of the package, of the embedded Hub, and of the public one."""
    if recipe:
        click.echo(str(_add(recipe, offline)))
        return
    if as_table:
        click.echo(index.table(index.measured()), nl=False)
        return
    found = [entry for entry in entries(offline) if everything or not entry.tiny]
    if as_json:
        click.echo(index.text(found), nl=False)
        return
    if not found:
        click.echo("nothing yet; `recipes run RECIPE` publishes to the embedded Hub and enters it here")
        return
    Console().print(_table(found))


def _add(recipe: str, offline: bool) -> Path:
    """Keep the entry of a recipe's finished run beside the package's code, with the commit that the recipe is of.

    The run is one of the recipe as it is at this commit, or its key would not be found.
    """
    from zoo.cli.card import finished_publication
    from zoo.publish import entry

    done = finished_publication(recipe, (), False, offline)
    found = index.read_entry((done.folder / "model" / entry.NAME).read_text("utf-8"))
    file = index.MEASURED / f"{found.recipe}.json"
    if not file.parent.is_dir():
        raise ZooError(f"{file.parent}: is not there; --add works in a checkout of edgezoo")
    whole = asdict(replace(found, commit=_commit(file.parent)))
    file.write_text(json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    return file


def _commit(folder: Path) -> str:
    git = which("git")
    if git is None:
        raise ZooError("--add writes down this repository's commit, and git is not installed")
    said = subprocess.run([git, "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if said.returncode:
        raise ZooError(f"{folder}: git does not know its commit: {said.stderr.strip()}")
    return said.stdout.strip()


def entries(offline: bool) -> tuple[Entry, ...]:
    """The entries of the package, of the embedded Hub and of the public one; the last that names a repository holds.

    A public Hub that does not answer leaves the other two.
    """
    from zoo.publish import on_hub

    outside = Outside(default_root(), offline)
    found = index.shipped()
    if not offline:
        found = _merged(found, on_hub(client.public_endpoint()))
    with outside.embedded() as embedded:
        return _merged(found, on_hub(embedded))


def named(name: str, offline: bool) -> tuple[str, str] | None:
    """Repository and file for `NAME[:file]`; None for what is no such name, but `owner/name` or a path.

    Raises ZooError for a name that nobody published.
    """
    model, separator, _ = name.partition(":")
    if "/" in model and not separator:
        return None
    if model.startswith((".", "/", "~", "stage")) or name.endswith(".gguf"):
        return None
    try:  # what is known here needs no network
        return index.chosen(entries(offline=True), name)
    except ZooError:
        if offline:
            raise
    return index.chosen(entries(offline=False), name)


def _merged(earlier: tuple[Entry, ...], later: tuple[Entry, ...]) -> tuple[Entry, ...]:
    for entry in later:
        earlier = index.with_entry(earlier, entry)
    return tuple(sorted(earlier, key=lambda entry: entry.repository))


def _table(found: list[Entry]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading, least in _COLUMNS.items():
        table.add_column(
            heading, justify="right" if heading == "size" else "left", overflow="fold", min_width=least or None
        )
    for entry in found:
        file = next((file for file in entry.files if file.name == entry.recommended), None)
        table.add_row(
            entry.name + (" (tiny)" if entry.tiny else ""),
            f"{entry.repository}@{entry.commit[:7]}",
            byte_text(file.bytes if file else entry.bytes),
            entry.world or "-",
            _rate(entry.success) if entry.success else "not run",
            entry.recommended or "none passed a gate",
            f"{entry.recipe} v{entry.version}",
        )
    return table


def _rate(rate: Metric) -> str:
    """A rate with its sample and, where there is one, its 95 % interval."""
    reach = "" if rate.low is None or rate.high is None else f" ({rate.low:.0%} to {rate.high:.0%})"
    return f"{rate.value:.0%} of {rate.n}{reach}"

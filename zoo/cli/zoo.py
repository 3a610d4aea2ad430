"""The command that lists published models: zoo. And what a name of one stands for, for the commands that take it."""

import click
from rich.console import Console
from rich.table import Table

from zoo import hub as client
from zoo import index
from zoo.cache import default_root
from zoo.cli.display import byte_text, metric_text
from zoo.cli.outside import Outside
from zoo.errors import ZooError
from zoo.index import Entry

__all__ = ["entries", "named", "zoo"]


@click.command()
@click.option("--table", "as_table", is_flag=True, help="README's table, from the index that came with the package.")
@click.option("--all", "everything", is_flag=True, help="Also what tiny twins published, which proves plumbing only.")
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
@click.option("--json", "as_json", is_flag=True, help="The index as JSON, as it is kept on a Hub.")
def zoo(as_table: bool, everything: bool, offline: bool, as_json: bool) -> None:
    """List the models that recipes published: of the package, of the embedded Hub, and of the public one."""
    if as_table:
        click.echo(index.table(index.shipped()), nl=False)
        return
    found = [entry for entry in entries(offline) if everything or not entry.tiny]
    if as_json:
        click.echo(index.text(found), nl=False)
        return
    if not found:
        click.echo("nothing yet; `recipes run RECIPE` publishes to the embedded Hub and enters it here")
        return
    Console().print(_table(found))


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
    for heading in ("model", "repository", "size", "world", "success", "recommended file", "recipe"):
        table.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
    for entry in found:
        file = next((file for file in entry.files if file.name == entry.recommended), None)
        table.add_row(
            entry.name + (" (tiny)" if entry.tiny else ""),
            f"{entry.repository}@{entry.commit[:7]}",
            byte_text(file.bytes if file else entry.bytes),
            entry.world or "-",
            metric_text(entry.success) if entry.success else "not run",
            entry.recommended or "none passed a gate",
            f"{entry.recipe} v{entry.version}",
        )
    return table

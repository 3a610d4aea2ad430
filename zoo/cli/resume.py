"""The command that goes on with a run which is kept on a Hub, on whatever machine: resume."""

import click

from zoo import checkpoints_on_hub
from zoo.cache import default_root
from zoo.cli.outside import Outside
from zoo.cli.runs import run

__all__ = ["resume"]


@click.command()
@click.argument("repository", metavar="OWNER/NAME[@BRANCH]")
@click.option(
    "--push/--no-push", default=None, help="Publish to the public Hub / publish nowhere. Default: embedded Hub."
)
@click.option("--overwrite", is_flag=True, help="Write over a card that somebody edited on the Hub.")
@click.option("--yes", is_flag=True, help="Do not ask before publishing to the public Hub.")
@click.option("--device", default="auto", help="cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.")
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only, never the public one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line on standard output.")
@click.pass_context
def resume(
    ctx: click.Context,
    repository: str,
    push: bool | None,
    overwrite: bool,
    yes: bool,
    device: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Go on with a run that `recipes run RECIPE --checkpoints-to OWNER/NAME` keeps on a Hub.

    Its recipe, its finished stages and the last checkpoint come from there; what is new goes there.
    """
    outside = Outside(default_root(), offline)
    with outside.keeping_place(repository, offline) as place:
        assert place is not None
        folder = outside.home / "resumed" / str(place).replace("/", "--")
        call = checkpoints_on_hub.call_of(place, folder)
        ctx.invoke(
            run,
            recipe=str(call.recipe),
            overrides=call.overrides,
            tiny=call.tiny,
            first=None,
            last=None,
            only=None,
            force=(),
            push=push,
            overwrite=overwrite,
            yes=yes,
            kept_at=repository,
            device=device,
            offline=offline,
            as_json=as_json,
        )

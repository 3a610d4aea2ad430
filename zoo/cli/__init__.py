"""The command `recipes`: the one place that prints.

Sub-commands are imported when they are called, so that `recipes --help` costs a few milliseconds.
"""

import sys
from importlib import import_module

import click

from zoo import __version__
from zoo.errors import ZooError

__all__ = ["command", "main"]

_COMMANDS = {
    "ls": ("zoo.cli.library:ls", "List the recipes that come with the package."),
    "show": ("zoo.cli.library:show", "Print a recipe, as written or resolved."),
    "cp": ("zoo.cli.library:cp", "Copy a recipe, to make it yours."),
    "check": ("zoo.cli.library:check", "Say everything that is wrong with a recipe."),
    "schema": ("zoo.cli.library:schema", "Print the JSON Schema of a recipe, for editors."),
    "plan": ("zoo.cli.runs:plan", "Print what a run would do, and what it would need."),
    "run": ("zoo.cli.runs:run", "Run a recipe; what is finished is not done again."),
    "status": ("zoo.cli.runs:status", "Print which stages of a recipe are finished, and where they lie."),
    "card": ("zoo.cli.card:card", "Show and check the cards of a finished run."),
    "zoo": ("zoo.cli.zoo:zoo", "List the models that recipes published."),
    "resume": ("zoo.cli.resume:resume", "Go on, on any machine, with a run whose checkpoints are kept on a Hub."),
    "export": ("zoo.cli.export:export", "Write any checkpoint as files for the edge."),
    "hub": ("zoo.cli.hubs:hub", "The embedded Hub: serve it, seed it."),
    "pull": ("zoo.cli.hubs:pull", "Fetch a repository, or one file of it, from a Hub."),
    "verify": ("zoo.cli.verify:verify", "Say whether an exported file still is the checkpoint that it was made of."),
    "serve": ("zoo.cli.serve:serve", "Put a model behind an OpenAI-compatible endpoint on loopback."),
    "eval": (
        "zoo.cli.evaluation:evaluate",
        "Let a model, an endpoint, the expert or chance act on many tasks; measure it.",
    ),
    "trace": ("zoo.cli.trace:trace", "Replay episodes that were written down."),
    "demo": ("zoo.cli.demo:demo", "Open the page of a run or a published model: watch it act, compare its files."),
    "act": ("zoo.cli.act:act", "Let a model act, by default on the embedded phone, step by step."),
}


class _Lazy(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="recipes")
def command() -> None:
    """From one YAML recipe to a small agent: trained, merged, exported, verified, carded and published."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. Exit codes: 0 done, 1 an error that a user can mend, 2 a recipe or an option that is wrong,
    3 a measured value beyond its gate, 130 stopped by Ctrl-C. A bug keeps its traceback."""
    try:
        code = command(arguments, standalone_mode=False)
    except click.exceptions.Abort:
        code = _stopped()
    except KeyboardInterrupt:
        code = _stopped()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except ZooError as error:
        click.secho("error: ", fg="red", bold=True, err=True, nl=False)
        click.echo(str(error), err=True)
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _stopped() -> int:
    click.echo("\nstopped; what was done is kept, the same command goes on from there", err=True)
    return 130

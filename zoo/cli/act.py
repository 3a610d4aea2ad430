"""The command that lets a model act in the terminal, on the embedded phone or in another world: act."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, get_args

import click

from zoo import hub
from zoo.cache import default_root
from zoo.cli.library import find
from zoo.cli.models import open_model, resolve_model
from zoo.cli.outside import Outside
from zoo.cli.zoo import entries
from zoo.environments import Split
from zoo.errors import ZooError
from zoo.refs import HubRef

if TYPE_CHECKING:
    from zoo.agent import Answerer, Episode, Situation
    from zoo.environments import Task
    from zoo.index import Entry
    from zoo.schema import AgentSpec
    from zoo.serving import Runtime

__all__ = ["act"]

_RECIPE = "pocket-135m"
_SPLITS = get_args(Split)
_DRAWN = 400
_EXAMPLES = 5


@click.command()
@click.argument("task", required=False)
@click.option(
    "--model",
    required=True,
    metavar="FILE|FOLDER|OWNER/NAME|NAME[:FILE]",
    help="A GGUF, a checkpoint, a repository, or a model of the zoo.",
)
@click.option(
    "--file", "part", default="q8_0", show_default=True, help="Which file of a repository: a word of its name."
)
@click.option(
    "--recipe",
    metavar="RECIPE",
    help=f"Whose agent: its prompt, memory and rounds. Default: of a model of the zoo its own, else {_RECIPE}.",
)
@click.option(
    "--split", type=click.Choice(_SPLITS), default=_SPLITS[1], show_default=True, help="The tasks to choose from."
)
@click.option("--seed", default=0, show_default=True, help="Of the tasks to choose from.")
@click.option("--threads", type=int, help="Of llama.cpp. Default: the cores, four at most.")
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line at the end, on standard output.")
def act(
    task: str | None,
    model: str,
    part: str,
    recipe: str | None,
    split: Split,
    seed: int,
    threads: int | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Let a model act in its recipe's world, by default the embedded phone, step by step.

    TASK is an instruction, or some words of one; without it the first task of the seed is taken. A task that the model
    does not solve is a result, not an error.
    """  # fmt: skip
    from zoo.agent import play

    spec = _agent(model, recipe, offline)
    chosen = _task(spec, task, split, seed)
    runtime = open_model(resolve_model(model, part, offline), threads)
    click.secho(chosen.instruction, bold=True, err=as_json)
    try:
        (episode,) = play(spec, [chosen], _shown(spec, runtime, as_json))
    finally:
        runtime.close()
    _show_end(episode, as_json)
    if as_json:
        click.echo(json.dumps(_as_data(episode)))


def _agent(model: str, recipe: str | None, offline: bool) -> "AgentSpec":
    """How the model is asked: as the named recipe says, else the one that it was published with, else the default.

    An agent with eyes that is taken from its publication reads words here: what the zoo lists are files without any.
    """
    from zoo.recipe import load

    if recipe is None and not Path(model).exists() and (entry := _listed(model)):
        with Outside(default_root(), offline).embedded() as embedded:
            endpoints = [embedded] if offline else [embedded, hub.public_endpoint()]
            folder = hub.fetch(hub.pin(HubRef(entry.repository), "model", endpoints), only=["*.yaml"])
        agent = load(folder / "recipe.yaml", tiny=entry.tiny).recipe.agent
        return agent.model_copy(update={"pictures": "none"})
    return load(find(recipe or _RECIPE)).recipe.agent


def _listed(model: str) -> "Entry | None":
    """The entry of the zoo that a name or a repository is of, where it is known here."""
    name = model.partition(":")[0].partition("@")[0]
    known = entries(offline=True)
    return next((one for one in known if name in (one.name, one.repository, *(f.repository for f in one.files))), None)


def _task(spec: "AgentSpec", words: str | None, split: Split, seed: int) -> "Task":
    from zoo.agent import open_environment

    drawn = open_environment(spec).draw_tasks(split, _DRAWN, seed)
    if words is None:
        return drawn[0]
    fitting = [task for task in drawn if words.lower() in task.instruction.lower()]
    near = get_close_matches(words, [task.instruction for task in drawn], n=1, cutoff=0.75)
    fitting += [task for task in drawn if task.instruction in near]
    if not fitting:
        examples = "\n  ".join(task.instruction for task in drawn[:_EXAMPLES])
        raise ZooError(f"{spec.world} has no task like {words!r}; some that it has:\n  {examples}")
    return fitting[0]


def _shown(spec: "AgentSpec", runtime: "Runtime", quiet: bool) -> "Answerer":
    """The model as an agent whose every step is printed as it is made."""
    from zoo.actions import write
    from zoo.cli.trace import unreadable
    from zoo.dialects import dialect_of
    from zoo.playground import ModelAgent, ask_runtime

    agent = ModelAgent(spec, ask_runtime(spec, runtime), lambda text: len(runtime.encode(text)))

    def answer(situations: Sequence["Situation"]) -> list[str]:
        (situation,) = situations
        started = perf_counter()
        agent(situations)
        seconds = perf_counter() - started
        generation = agent.spent[situation.task.id][-1]
        if not quiet:
            said = dialect_of(spec.world).read(generation.text)
            click.echo(f"\n{situation.observation}")
            if said.reasoning:
                click.secho(f"  {said.reasoning.strip()}", dim=True)
            call = write(said.action) if said.action else unreadable(generation.text)
            rate = generation.tokens / seconds if seconds else 0.0
            click.secho(f"  {call}", fg="green" if said.action else "red", nl=False)
            click.echo(f"   {seconds:.2f} s, {generation.tokens} tokens, {rate:.0f} tokens/s")
        return [generation.text]

    return answer


def _show_end(episode: "Episode", quiet: bool) -> None:
    seconds = sum(step.seconds for step in episode.steps)
    mark = click.style("success", fg="green") if episode.success else click.style("not solved", fg="red")
    click.echo(
        f"\n{mark}: {len(episode.steps)} steps, {seconds / len(episode.steps):.2f} s a step, ended by {episode.ended}",
        err=quiet,
    )


def _as_data(episode: "Episode") -> dict[str, object]:
    from zoo.actions import write

    steps = [{**asdict(step), "action": write(step.action) if step.action else None} for step in episode.steps]
    return {
        "task": episode.task.id,
        "instruction": episode.task.instruction,
        "success": episode.success,
        "ended": episode.ended,
        "steps": steps,
    }

"""The command that measures anybody in any world: eval."""

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from rich.console import Console

from zoo import fingerprint, machine
from zoo.cache import default_root
from zoo.cli.library import find
from zoo.cli.models import DEFAULT_PART, open_model, resolve_model
from zoo.cli.scoreboard import bar, score_table
from zoo.environments import Split
from zoo.registry import ENVIRONMENTS

if TYPE_CHECKING:
    from zoo.agent import Answerer
    from zoo.playground import EpisodeRecord, Judge
    from zoo.schema import AgentSpec

__all__ = ["evaluate"]

_WORLDS = tuple(ENVIRONMENTS)
_SPLITS = get_args(Split)


@click.command("eval")
@click.argument("model", metavar="MODEL")
@click.option("--world", type=click.Choice(_WORLDS), help="Where it acts. Default: the recipe's.")
@click.option("--split", type=click.Choice(_SPLITS), default=_SPLITS[1], show_default=True)
@click.option("--tasks", multiple=True, metavar="PATTERN", help="Templates that fit: 'clock.*', expert.")
@click.option("--episodes", type=click.IntRange(1), default=50, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the tasks that are drawn, and of `random`.")
@click.option("--recipe", default="pocket-135m", show_default=True, help="Whose agent: its prompt, memory and rounds.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="A field of the agent: constrained=true.")
@click.option("--file", "part", default=DEFAULT_PART, show_default=True, help="Of a repository: a word of its name.")
@click.option("--model-name", default="default", show_default=True, help="What an endpoint calls the model.")
@click.option("--key-env", default="OPENAI_API_KEY", show_default=True, help="The variable with an endpoint's key.")
@click.option("--judge", "judge_url", metavar="URL", help="An endpoint that judges beside the state check.")
@click.option("--judge-name", default="default", show_default=True, help="What that endpoint calls its model.")
@click.option("--judge-key-env", default="OPENAI_API_KEY", show_default=True)
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Episodes side by side.")
@click.option("--pictures", is_flag=True, help="Keep each screen as a PNG, where the world draws it.")
@click.option("--threads", type=int, help="Of llama.cpp. Default: the cores, four at most.")
@click.option("--device", default="auto", help="For checkpoints: cpu, cuda, ...; auto takes a GPU where there is one.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder of episodes and tables. Default: by settings.")
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line at the end, on standard output.")
def evaluate(model: str, **options: Any) -> None:
    """Let MODEL act on many tasks and measure it; stopped, the same command goes on.

    MODEL is a checkpoint folder, a GGUF file, owner/name[:file] of a Hub, an OpenAI-compatible endpoint (http://...),
    `expert` or `random`. Success is decided by the state of the world. Without --out, the same settings go on in the
    same folder.
    """
    from zoo.playground import EpisodeLog, Session, choose_tasks, require_xlsx, write_csv, write_xlsx

    require_xlsx()
    # A polite kill ends it as Ctrl-C does: browsers are closed, and what was played stays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    spec = _agent(options["recipe"], options["world"], options["changes"])
    settings = _settings(model, spec, options)
    folder = options["out"] or default_root() / "evaluations" / fingerprint.of_data(settings)[:12]
    tasks = choose_tasks(spec, options["split"], options["tasks"], options["episodes"], options["seed"])
    log = EpisodeLog(folder, settings)
    console = Console(stderr=True)
    # Held before a model is loaded: that somebody else writes these episodes is said at once.
    with log.held():
        with _answerer(model, spec, options) as answer, bar(console, len(tasks)) as progress:
            session = Session(spec, tasks, answer, log, options["batch"], _judge(options), options["pictures"])
            records = session.run(progress)
        write_csv(records, folder / "table.csv")
        write_xlsx(records, folder / "table.xlsx")
    console.print(score_table(records, console.width))
    console.print(f"episodes and tables: {folder}", soft_wrap=True, highlight=False)
    if options["as_json"]:
        click.echo(json.dumps(_result(model, folder, records)))


def _agent(recipe: str, world: str | None, changes: Sequence[str]) -> "AgentSpec":
    """The recipe's agent, with what the command line changes; checked as a recipe is."""
    from zoo.recipe import load

    overrides = [f"agent.{change}" for change in changes]
    if world:
        overrides.append(f"agent.world={world}")
    return load(find(recipe), tuple(overrides)).recipe.agent


def _settings(model: str, spec: "AgentSpec", options: dict[str, Any]) -> dict[str, Any]:
    """All that decides the episodes. A local file is known by its name and size: its digest would cost a minute."""
    path = Path(model)
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*"))) if path.exists() else 0
    named = {key: options[key] for key in ("split", "episodes", "seed", "model_name", "judge_url", "judge_name")}
    return {
        "model": model,
        "bytes": size,
        "agent": spec.model_dump(mode="json"),
        "tasks": sorted(options["tasks"]),
        "part": options["part"],
        **named,
    }


@contextmanager
def _answerer(model: str, spec: "AgentSpec", options: dict[str, Any]) -> "Iterator[Answerer]":
    from zoo.agent import expert_answers, random_answers
    from zoo.playground import Endpoint, ModelAgent, ask_endpoint, ask_runtime

    if model == "expert":
        yield expert_answers(spec)
    elif model == "random":
        yield random_answers(options["seed"])
    elif model.startswith(("http://", "https://")):
        endpoint = Endpoint(model, options["model_name"], options["key_env"], options["batch"])
        yield ModelAgent(spec, ask_endpoint(spec, endpoint))
    else:
        path = resolve_model(model, options["part"], options["offline"])
        runtime = open_model(path, options["threads"], machine.device(options["device"]))
        try:
            yield ModelAgent(spec, ask_runtime(spec, runtime), lambda text: len(runtime.encode(text)))
        finally:
            runtime.close()


def _judge(options: dict[str, Any]) -> "Judge | None":
    from zoo.playground import Endpoint, Judge

    if not options["judge_url"]:
        return None
    return Judge(Endpoint(options["judge_url"], options["judge_name"], options["judge_key_env"]))


def _result(model: str, folder: Path, records: "Sequence[EpisodeRecord]") -> dict[str, Any]:
    from zoo.playground import groups, measures

    tables = [
        {"by": group.by, "group": group.name, "measures": {k: vars(v) for k, v in measures(group.records).items()}}
        for group in groups(records)
    ]
    return {"model": model, "folder": str(folder), "episodes": len(records), "table": tables}

"""The command that says whether a file is the model that it claims to be: verify."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from zoo import preflight
from zoo.cli import models
from zoo.cli.display import second_text
from zoo.cli.library import find
from zoo.cli.verdicts import show, show_summary
from zoo.errors import EnvironmentFailure, ExportError, ModelError
from zoo.records import Progress

if TYPE_CHECKING:
    from zoo.schema import AgentSpec, VerifySpec

__all__ = ["verify"]

_FELL_SHORT = 3
_PLAIN_SECONDS = 15.0
_WORLDS = ("phone", "phone-ten")


@click.command()
@click.argument("named", metavar="FILE|FOLDER|OWNER/NAME")
@click.option("--against", required=True, metavar="FOLDER|OWNER/NAME", help="The checkpoint that it was made of.")
@click.option("--file", "part", metavar="PART", help="Which file, where there are several: a word of its name.")
@click.option("--type", "type_", default="auto", show_default=True, help="Whose gate: f16, q8_0, int8, ...")
@click.option("--prompts", type=click.IntRange(1), default=32, show_default=True, help="Steps of the agent's world.")
@click.option("--texts", type=click.IntRange(0, 16), default=8, show_default=True, help="Passages of general text.")
@click.option("--actions", type=click.IntRange(0), default=16, show_default=True, help="Steps that both answer.")
@click.option("--tasks", type=click.IntRange(0), default=0, show_default=True, help="Whole tasks that both act on.")
@click.option("--world", type=click.Choice(_WORLDS), default=_WORLDS[0], help="Whose steps and tasks.")
@click.option("--recipe", metavar="RECIPE", help="Whose agent asks: its world, style and length of answers.")
@click.option("--seed", default=0, show_default=True, help="Draws the steps and the tasks.")
@click.option(
    "--threads", type=click.IntRange(1), help="Of the file's runtime. Default: as many as measure fastest in llama.cpp."
)
@click.option("--device", default="auto", show_default=True, help="Of the checkpoint: cpu, cuda, ...")
@click.option("--out", type=click.Path(path_type=Path), help="A folder for verify.json and verify.svg.")
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line on standard output.")
def verify(
    named: str,
    against: str,
    part: str | None,
    type_: str,
    prompts: int,
    texts: int,
    actions: int,
    tasks: int,
    world: Literal["phone", "phone-ten"],
    recipe: str | None,
    seed: int,
    threads: int | None,
    device: str,
    out: Path | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Say whether a GGUF file or an ONNX graph still is the checkpoint that it was made of.

    Both read the same texts in their own runtimes, and what they expect next is compared position by position, besides
    tokens, templates, stop tokens, settings and every weight. Works for any pair: local or on a Hub, made here or not.

    Exit code 0: it is. 3: it falls short of the gate of its type.
    """
    started = time.perf_counter()
    models.require_runtimes()
    files = _files(named, part, offline)
    folder = models.checkpoint(against, offline)
    console = Console(stderr=as_json)
    console.print(f"[bold]{escape(named)}[/] against [bold]{escape(against)}[/], torch in float32", soft_wrap=True)
    spec = _spec(_agent(recipe, world), prompts, texts, actions, tasks)
    data = _examined(files, folder, type_, spec, seed, threads, device, console)
    for row in data["files"]:
        show(console, row, spec.agent.world)
    show_summary(console, data["files"])
    console.print(f"compared in {second_text(time.perf_counter() - started)}", highlight=False)
    if out:
        _write(console, data, out)
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=False))
    raise click.exceptions.Exit(0 if data["passed"] else _FELL_SHORT)


def _agent(recipe: str | None, world: Literal["phone", "phone-ten"]) -> "AgentSpec":
    from zoo.recipe import load
    from zoo.schema import AgentSpec

    return load(find(recipe)).recipe.agent if recipe else AgentSpec(world=world)


def _spec(agent: "AgentSpec", prompts: int, texts: int, actions: int, tasks: int) -> "VerifySpec":
    from zoo.refs import PathRef
    from zoo.schema import VerifySpec

    here = PathRef(Path())
    return VerifySpec(
        export=here, against=here, prompts=prompts, texts=texts, actions=actions, tasks=tasks, agent=agent
    )


def _examined(
    files: list[Path],
    folder: Path,
    type_: str,
    spec: "VerifySpec",
    seed: int,
    threads: int | None,
    device: str,
    console: Console,
) -> dict[str, Any]:
    from zoo import machine
    from zoo.verify import examine, plain
    from zoo.verify.opening import type_of

    models.be_quiet()
    typed = {file: type_of(file) if type_ == "auto" else type_.lower() for file in files}
    with _progress(console) as progress:
        progress(0, None, comparing="threads: which number is fastest here")
        threads = threads or _measured_threads(files)
        data, _ = examine(spec, typed, folder, seed, device=machine.device(device), threads=threads, progress=progress)
    found: dict[str, Any] = plain(data | {"threads": threads})
    return found


def _files(named: str, part: str | None, offline: bool) -> list[Path]:
    """The exported files of either kind that are named; of a repository on a Hub, one."""
    from zoo.formats import onnx_files

    path = Path(named).expanduser()
    if not path.exists():
        fetched = models.exported_files(named, part, offline)
        if fetched[0].suffix == ".onnx":
            preflight.check_extra(named, "onnx")
        return fetched
    found = [path] if path.suffix == ".onnx" and path.is_file() else list(onnx_files.find(path).values())
    chosen = [graph for graph in found if not part or part in (onnx_files.variant_of(graph), graph.name)]
    if not found or (any(path.glob("*.gguf")) and not (part and chosen)):
        chosen = [*models.gguf_files(named, part, offline), *chosen]
    elif not chosen:
        known = ", ".join(onnx_files.label(graph) for graph in found)
        raise ModelError(f"{path}: no graph like {part!r}; there is {known}")
    if found:
        preflight.check_extra(named, "onnx")
    return chosen


def _measured_threads(files: list[Path]) -> int | None:
    """None when no file loads, and for graphs: their runtime takes what the machine has."""
    from zoo.serving import fastest_threads

    for file in (file for file in files if file.suffix == ".gguf"):
        with suppress(ExportError):
            return fastest_threads(file).threads
    return None


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    """One line that says what is being compared; where the output is no terminal, a plain line now and then."""
    columns = (TextColumn("[bold]{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("opening")
        told, spoke = "", 0.0

        def progress(step: int, total: int | None = None, **fields: float | str) -> None:
            nonlocal told, spoke
            name = str(fields.get("comparing", ""))
            bar.update(task, completed=step, total=total, description=escape(name))
            if not console.is_terminal and (name != told or time.monotonic() - spoke > _PLAIN_SECONDS):
                console.print(f"  {name} {step}/{total or '?'}", highlight=False, markup=False, soft_wrap=True)
                spoke = time.monotonic()
            told = name

        yield progress


def _write(console: Console, data: Mapping[str, Any], folder: Path) -> None:
    from zoo.verify import PLOT_NAME, REPORT_NAME, draw, write

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder, data)
        draw(data["files"], folder / PLOT_NAME)
    except OSError as error:
        raise EnvironmentFailure(f"{folder}: the report cannot be written: {error.strerror or error}") from error
    written = [name for name in (REPORT_NAME, PLOT_NAME) if (folder / name).is_file()]
    console.print(f"report: {', '.join(str(folder / name) for name in written)}", highlight=False, soft_wrap=True)

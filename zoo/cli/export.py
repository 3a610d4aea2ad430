"""The command that does one export alone, of any checkpoint: export.

It builds the settings of the format's stage and calls that stage; a recipe's run does nothing else.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from zoo import machine, preflight, records, registry, source
from zoo.cache import default_root
from zoo.cli.display import byte_text
from zoo.cli.outside import Outside
from zoo.errors import ExportError, HubError, ModelError, did_you_mean
from zoo.formats import gguf_names
from zoo.plan import StageInput
from zoo.records import StageContext, StageResult
from zoo.refs import HubRef, PathRef, Ref, parse
from zoo.schema import StageSpec, references

__all__ = ["export"]


@dataclass(frozen=True)
class _Format:
    """A format: the kind of stage that writes it, and what its files are called outside of a run."""

    kind: str
    types: str
    """Which of the stage's settings says what is written, one file or graph each."""
    names: Callable[[Sequence[str], str], dict[str, str]]
    """Files of the stage and the model's name -> each file's name."""


_LABELS = ("name", "license")
"""What a file may say of itself; a format that says nothing of it has no such setting."""
_FORMATS = {
    "gguf": _Format("gguf", "types", gguf_names.published),
    # Consumers ask for a graph by its place, whatever the model is called
    "onnx": _Format("onnx", "variants", lambda files, _: {file: file for file in files}),
}


@click.command()
@click.argument("checkpoint", metavar="FOLDER|OWNER/NAME[@REVISION]")
@click.option("--format", "format_", type=click.Choice(sorted(_FORMATS)), default="gguf", show_default=True)
@click.option(
    "--type", "types", multiple=True, metavar="TYPE",
    help="f16, q8_0, q4_k_m, ...; of ONNX: fp32, fp16, int8, int4, genai-int8, genai-int4. More than once for more.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder of the files.")
@click.option("--name", help="What the files call the model. Default: the folder's or repository's name.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE",
    help="Any other setting of the format's stage, as in a recipe: shard_bytes=2000000000, imatrix.rows=./demos.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Of the rows that are drawn.")
@click.option("--device", default="cpu", show_default=True, help="For what is computed: the importance matrix.")
@click.option("--offline", is_flag=True, help="Ask the embedded Hub only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line on standard output.")
def export(
    checkpoint: str,
    format_: str,
    types: tuple[str, ...],
    out: Path,
    name: str | None,
    settings: tuple[str, ...],
    seed: int,
    device: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Write a checkpoint, yours or any other, as files for the edge. Whole or not at all.

    \b
    recipes export ./my-model --type q4_k_m --out files
    recipes export HuggingFaceTB/SmolLM2-135M-Instruct --type q8_0 --type f16 --out files
    recipes export ./my-model --format onnx --type int8 --out graphs
    """
    chosen = _FORMATS[format_]
    ref = _reference(checkpoint)
    given = {**_settings(settings), **({chosen.types: list(types)} if types else {})}
    preflight.check_extra(f"--format {format_}", chosen.kind)
    with ExitStack() as stack:
        staging = Path(stack.enter_context(_staging(out)))
        bring = _Inputs(Outside(default_root(), offline), stack)
        title = name or _name(ref)
        asked = _spec(chosen.kind, {"name": title, **given, "model": ref})
        inputs = {place: bring(reference, accepts) for place, reference, accepts in references(asked)}
        spec = _spec(chosen.kind, {"name": title, "license": _license(inputs["model"]), **given, "model": ref})
        progress = stack.enter_context(_progress(Console(stderr=True)))
        made, scratch = staging / "made", staging / "scratch"
        made.mkdir()
        scratch.mkdir()
        ctx = StageContext(made, scratch, inputs, seed, device=machine.device(device), progress=progress)
        result: StageResult = registry.load(registry.STAGES[chosen.kind].run)(spec, ctx)
        files = _moved(made, out, chosen, title)
    _show(checkpoint, format_, out, files, result, as_json)


class _Inputs:
    """Brings what the settings name to this machine."""

    def __init__(self, outside: Outside, stack: ExitStack) -> None:
        self._outside, self._fetch = outside, stack.enter_context(outside.fetcher())

    def __call__(self, ref: Ref, accepts: Any) -> Path:
        if isinstance(ref, PathRef):
            if not ref.path.exists():
                raise ModelError(f"{ref}: there is no such file or folder")
            return ref.path.resolve()
        if not isinstance(ref, HubRef):
            raise click.UsageError(f"{ref} is a stage of a recipe; name its folder (recipes status shows it)")
        identity = self._outside.identify(ref, accepts)
        if ref in self._outside.unreachable:
            raise HubError(self._outside.unreachable[ref])
        return self._fetch(StageInput(ref, accepts, identity))


def _reference(text: str) -> Ref:
    if Path(text).is_dir():
        return PathRef(Path(text))
    try:
        return parse(text)
    except ValueError as error:
        raise ModelError(f"{text}: no such folder, and {error}") from error


def _name(ref: Ref) -> str:
    return ref.path.resolve().name if isinstance(ref, PathRef) else str(ref).partition("@")[0].rpartition("/")[2]


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """`key.inner=value`, values as in YAML."""
    found: dict[str, Any] = {}
    for one in given:
        key, separator, value = one.partition("=")
        if not separator or not key:
            raise click.UsageError(f"--set {one}: this sets nothing; write --set key=value")
        *way, last = key.split(".")
        node = found
        for word in way:
            node = node.setdefault(word, {})
        node[last] = source.parse_scalar(value)
    return found


def _spec(kind: str, settings: dict[str, Any]) -> StageSpec:
    known = registry.load(registry.STAGES[kind].spec)
    settings = {key: value for key, value in settings.items() if key in known.model_fields or key not in _LABELS}
    try:
        spec: StageSpec = known.model_validate({**settings, "kind": kind})
        return spec
    except ValidationError as error:
        raise click.UsageError("\n".join(_problem(details, known) for details in error.errors())) from None


def _problem(details: Any, known: Any) -> str:
    place = ".".join(str(word) for word in details["loc"] if not isinstance(word, int))
    if details["type"] == "extra_forbidden":
        return f"unknown setting {place!r}; {did_you_mean(place, list(known.model_fields))}"
    if details["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", details["ctx"]["expected"])
        return f"{place} is {details['input']!r}; {did_you_mean(str(details['input']), choices)}"
    return f"{place} is {details['input']!r}: {details['msg']}"


def _license(checkpoint: Path) -> str:
    """What the checkpoint's own card says, empty when it says nothing."""
    card = checkpoint / "README.md"
    if not card.is_file():
        return ""
    parts = card.read_text("utf-8", errors="replace").split("---\n", 2)
    try:
        head = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}
    except yaml.YAMLError:
        return ""  # somebody else's card: the licence is then not known, which the file says by saying nothing
    found = head.get("license") if isinstance(head, dict) else None
    return found if isinstance(found, str) else ""


@contextmanager
def _staging(out: Path) -> Iterator[str]:
    """A folder on the same disk, from which finished files are moved; it goes whatever happens."""
    created = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".export-", dir=out)
    except OSError as error:
        raise ExportError(f"{out}: cannot be written to: {error}") from error
    try:
        with folder as path:
            yield path
    finally:
        if created and not any(out.iterdir()):
            out.rmdir()


def _moved(made: Path, out: Path, chosen: _Format, title: str) -> dict[str, Path]:
    files = sorted(file.relative_to(made).as_posix() for file in made.rglob("*") if file.is_file())
    names = chosen.names([file for file in files if file != records.RECORD_NAME], title)
    for new in names.values():
        (out / new).parent.mkdir(parents=True, exist_ok=True)
    return {name: (made / name).replace(out / new) for name, new in names.items()}


@contextmanager
def _progress(console: Console) -> Iterator[records.Progress]:
    columns = (TextColumn("{task.fields[told]}"), BarColumn(24), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None, told="reads the checkpoint")

        def progress(step: int, total: int | None = None, **fields: float | str) -> None:
            told = "  ".join(
                str(fields[key]) for key in ("file", "variant", "doing", "measuring", "tensor") if key in fields
            )
            bar.update(task, completed=step, total=total, told=told)

        yield progress


def _show(checkpoint: str, format_: str, out: Path, files: dict[str, Path], result: StageResult, as_json: bool) -> None:
    if as_json:
        listed = [{"path": str(path), "bytes": path.stat().st_size, "made_as": name} for name, path in files.items()]
        click.echo(json.dumps({"checkpoint": checkpoint, "format": format_, "files": listed, "notes": result.notes}))
        return
    for path in files.values():
        click.echo(f"{path}  {byte_text(path.stat().st_size)}")
    for row in result.notes.get("files", []):
        if "opsets" in row:
            opsets = ", ".join(f"{domain} {version}" for domain, version in row["opsets"].items())
            click.echo(f"  {row['variant']}: {row['nodes']} nodes (operators of {opsets})")
        elif "tensor_types" in row:
            types = ", ".join(f"{count} {kind}" for kind, count in row["tensor_types"].items())
            click.echo(f"  {row['type']}: {row['bits_per_weight']} bits a weight ({types})")
    if images := result.notes.get("images"):
        click.echo(f"  {images}")

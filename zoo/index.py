"""The index of the zoo: one entry a published model, as JSON. It comes with the package and is kept on a Hub.

What stands in it was measured by the run that published; nothing is typed by hand. Beside it, `measured/` keeps an
entry for the last whole run of each recipe, published or not: README's table is made of those. Not here: fetching the
index, changing it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zoo.errors import ZooError, did_you_mean
from zoo.records import Metric

__all__ = [
    "FILE_NAME",
    "MEASURED",
    "REPOSITORY",
    "SHIPPED",
    "Entry",
    "FileEntry",
    "chosen",
    "measured",
    "parse",
    "read_entry",
    "shipped",
    "table",
    "text",
    "with_entry",
]

REPOSITORY = "edgezoo/zoo-index"
"""The dataset on a Hub that keeps it."""
FILE_NAME = "zoo.json"
SHIPPED = Path(__file__).parent / "zoo-index.json"
MEASURED = Path(__file__).parent / "measured"
"""`<recipe>.json`: the entry of its last whole run, whose `commit` is this repository's, at which the recipe was so."""

_VERSION = 1
_TABLE = ("recipe", "machine", "minutes", "peak memory", "file", "MB", "success (n, 95 %)", "commit")


@dataclass(frozen=True)
class FileEntry:
    """One file for the edge."""

    name: str
    repository: str
    bytes: int
    type: str
    passed: bool | None
    """Whether it kept the gate of its recipe."""
    success: Metric | None = None
    """Of the file itself, if it was made to act."""


@dataclass(frozen=True)
class Entry:
    """One published model."""

    repository: str
    recipe: str
    version: int
    summary: str
    license: str
    world: str | None
    split: str | None
    """The tasks of `success`."""
    success: Metric | None
    """Of the checkpoint; None when it was not evaluated."""
    files: tuple[FileEntry, ...]
    recommended: str | None
    machine: str
    seconds: float
    """Of the whole run."""
    peak_memory_bytes: int
    bytes: int
    """Of the checkpoint's weights."""
    tiny: bool = False
    commit: str = ""
    """Of the repository, once it is published."""

    @property
    def name(self) -> str:
        """What it is called for short: the repository without its owner."""
        return self.repository.partition("/")[2]


def parse(content: str) -> tuple[Entry, ...]:
    """The entries of an index.

    Raises ZooError for what is no index, or one of a later version.
    """
    try:
        data = json.loads(content)
        if data["version"] > _VERSION:
            raise ZooError(
                f"the index of the zoo has version {data['version']}, known here is {_VERSION}: update edgezoo"
            )
        return tuple(_entry(entry) for entry in data["models"])
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ZooError(f"this is no index of the zoo: {error!r}") from error


def read_entry(content: str) -> Entry:
    """One entry, as a publication carries it in its records."""
    return _entry(json.loads(content))


def text(entries: Iterable[Entry]) -> str:
    """The entries as JSON, by name, so that the same entries give the same bytes."""
    models = [asdict(entry) for entry in sorted(entries, key=lambda entry: entry.repository)]
    return json.dumps({"version": _VERSION, "models": models}, indent=1, ensure_ascii=False) + "\n"


def shipped() -> tuple[Entry, ...]:
    """The index that came with the package."""
    return parse(SHIPPED.read_text("utf-8"))


def measured() -> tuple[Entry, ...]:
    """The last whole run of each recipe that was run to its end, by the records that came with the package."""
    return tuple(read_entry(file.read_text("utf-8")) for file in sorted(MEASURED.glob("*.json")))


def with_entry(entries: Iterable[Entry], new: Entry) -> tuple[Entry, ...]:
    """The entries, one of which is new or takes the place of an older one of its repository."""
    return (*(entry for entry in entries if entry.repository != new.repository), new)


def chosen(entries: Sequence[Entry], name: str) -> tuple[str, str]:
    """What `NAME[:file]` stands for: a repository, and a file of it (the recommended one unless one is named).

    NAME is a repository or its last part; `file` a type or a word of the file's name. Raises ZooError for what is
    not in the index, and for a model without a file to recommend.

    >>> chosen(entries, "pocket-135m:q8_0")  # doctest: +SKIP
    ('edgezoo/pocket-135m-GGUF', 'Pocket-135M-Q8_0.gguf')
    """
    wanted, _, part = name.partition(":")
    entry = next((entry for entry in entries if wanted in (entry.name, entry.repository)), None)
    if entry is None:
        hint = did_you_mean(wanted, [entry.name for entry in entries]) or "the index is empty"
        raise ZooError(f"{wanted!r} is not in the zoo; {hint}")
    part = part or entry.recommended or ""
    fitting = [file for file in entry.files if part and part.lower() in file.name.lower()]
    if len(fitting) == 1:
        return fitting[0].repository, fitting[0].name
    files = ", ".join(file.name for file in entry.files) or "none"
    if not part:
        raise ZooError(f"{wanted}: no file of it is recommended, since none passed a gate; name one: {files}")
    raise ZooError(f"{wanted}: {part!r} fits {len(fitting)} of its files ({files}); name one of them")


def table(entries: Iterable[Entry]) -> str:
    """README's table: a row for each checkpoint and each file of what is more than plumbing, as its records say."""
    rows = [_TABLE, tuple("---" for _ in _TABLE)]
    for entry in sorted(entries, key=lambda entry: entry.repository):
        if not entry.tiny:
            rows += [_row(entry, None), *(_row(entry, file) for file in entry.files)]
    if len(rows) == 2:
        return "No recipe was run to its end for this version.\n"
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(entry: Entry, file: FileEntry | None) -> tuple[str, ...]:
    if file is None:
        head = (f"`{entry.recipe}` v{entry.version}", entry.machine, f"{entry.seconds / 60:.1f}")
        memory = f"{entry.peak_memory_bytes / 2**30:.1f} GiB"
        return (*head, memory, "checkpoint", f"{entry.bytes / 1e6:.0f}", _rate(entry.success), f"`{entry.commit[:7]}`")
    name = f"**{file.name}**" if file.name == entry.recommended else file.name
    return ("", "", "", "", name, f"{file.bytes / 1e6:.0f}", _rate(file.success), "")


def _rate(rate: Metric | None) -> str:
    if rate is None:
        return "*not run*"
    reach = "" if rate.low is None or rate.high is None else f", {100 * rate.low:.0f} to {100 * rate.high:.0f}"
    return f"{100 * rate.value:.0f} % ({rate.n}{reach})"


def _entry(data: dict[str, Any]) -> Entry:
    files = tuple(replace(FileEntry(**file), success=_metric(file["success"])) for file in data["files"])
    return replace(Entry(**data), files=files, success=_metric(data["success"]))


def _metric(data: dict[str, Any] | None) -> Metric | None:
    return Metric(**data) if data else None

"""What a stage is given, what it returns, and what is written down of it.

The runner writes `stage.json` last: a folder without one does not exist.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "RECORD_NAME",
    "Metric",
    "Progress",
    "StageContext",
    "StageRecord",
    "StageResult",
    "no_progress",
    "read",
    "write",
]

RECORD_NAME = "stage.json"


class Progress(Protocol):
    """Tells whoever watches how far a stage is. `fields` are shown as they are: `loss=1.2, tokens_per_second=480`."""

    def __call__(self, step: int, total: int | None = None, **fields: float | str) -> None: ...


def no_progress(step: int, total: int | None = None, **fields: float | str) -> None:
    """The reporter of whoever does not watch."""


@dataclass(frozen=True)
class Metric:
    """One measured number; a rate carries the size of its sample and a 95 % interval."""

    value: float
    unit: str = ""
    n: int | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class StageContext:
    """What a stage may touch. Nothing in here but `seed` and the content of `inputs` may change its result."""

    out: Path
    """A fresh, empty folder that becomes the artifact."""
    scratch: Path
    """A folder that survives a crash of this very stage: checkpoints live here."""
    inputs: Mapping[str, Path]
    """For each reference in the spec, by its dotted place (`model`, `mergekit.models.0.model`), a folder or file
    that is whole and only read."""
    seed: int
    lineage: Mapping[str, "StageRecord"] = field(default_factory=dict)
    """Stage name -> its record, for every stage that this one rests on, however far up."""
    recipe_files: Mapping[str, str] = field(default_factory=dict)
    """File name -> text: the recipe as written and its resolved lock, to be published beside what they made."""
    name: str = ""
    """What the recipe calls the stage, for whoever looks on; empty outside of a run."""
    device: str = "cpu"
    """`cpu`, `cuda`, `cuda:0`, ... A matter of how, not of what."""
    progress: Progress = no_progress
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("zoo.stage"))


@dataclass(frozen=True)
class StageResult:
    """What a stage measured. Files are what it left in `ctx.out`."""

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON data that a card may want: counts by reason, histograms, tables (lists of flat dicts)."""


@dataclass(frozen=True)
class StageRecord:
    """`stage.json`: everything known of a finished stage."""

    name: str
    kind: str
    version: int
    key: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    """Dotted place of a reference in the spec -> what it was resolved to (`stage:KEY`, `repo@commit`, `sha256:...`)."""
    seed: int
    metrics: Mapping[str, Metric]
    notes: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    """Relative path -> {"sha256", "bytes"}."""
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]
    started: str
    """UTC, ISO 8601."""
    seconds: float
    peak_memory_bytes: int
    tiny: bool = False
    """Made by the tiny twin of a recipe: plumbing, no evidence of quality."""


def write(record: StageRecord, folder: Path) -> None:
    """Write a record into its folder, whole or not at all."""
    part = folder / (RECORD_NAME + ".part")
    part.write_text(json.dumps(asdict(record), indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    part.replace(folder / RECORD_NAME)


def read(folder: Path) -> StageRecord:
    """Read the record of a finished stage.

    Raises FileNotFoundError when the folder has none, ValueError when it is no record.
    """
    try:
        data = json.loads((folder / RECORD_NAME).read_text("utf-8"))
        data["metrics"] = {name: Metric(**metric) for name, metric in data["metrics"].items()}
        return StageRecord(**data)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder / RECORD_NAME} is no stage record: {error}") from error

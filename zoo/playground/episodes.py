"""Played episodes on disk: one JSON line each, appended as they end, so that a stopped evaluation goes on.

A line that was cut off by a kill is dropped when the log is opened again. A log belongs to one set of settings; others
are refused, since their numbers must not be mixed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import DataError

__all__ = ["EPISODES_NAME", "SETTINGS_NAME", "EpisodeLog", "EpisodeRecord", "StepRecord", "read_episodes"]

EPISODES_NAME = "episodes.jsonl"
SETTINGS_NAME = "settings.json"


@dataclass(frozen=True)
class StepRecord:
    """One step of an episode."""

    observation: str
    answer: str
    action: str | None
    """The call in its canonical text; None when the answer held none."""
    seconds: float
    tokens: int | None = None
    """Of the answer; None for whoever is no model."""
    prompt_tokens: int | None = None
    picture: str | None = None
    """A PNG of the screen, relative to the log's folder."""
    changed: bool | None = None
    """Whether the screen was another one than a step before, by their pictures; None where none were taken."""


@dataclass(frozen=True)
class EpisodeRecord:
    """One line of `episodes.jsonl`."""

    number: int
    """Of its task among those that were drawn, from 0."""
    task: str
    template: str
    kind: str
    app: str
    instruction: str
    success: bool
    sub_goals: tuple[bool, ...]
    ended: str
    problem: str = ""
    expert_steps: int | None = None
    """Of the shortest way that the world's expert knows; None where it has none."""
    steps: tuple[StepRecord, ...] = ()
    judge: Mapping[str, Any] | None = None
    """What a judging model said: `verdict` (true, false, or null when it could not be read) and `text`."""

    @property
    def sub_goal_share(self) -> float:
        """AndroidLab's Sub-SR of one task: the share of its sub-goals, 1 when it is completed."""
        return 1.0 if self.success else sum(self.sub_goals) / max(1, len(self.sub_goals))


@dataclass
class EpisodeLog:
    """A folder with `settings.json` and `episodes.jsonl`."""

    folder: Path
    settings: Mapping[str, Any]
    finished: dict[int, EpisodeRecord] = field(init=False, default_factory=dict)
    """Number of a task -> its episode."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_settings()
        _drop_cut_line(self.file)
        self.finished = {record.number: record for record in read_episodes(self.file)} if self.file.exists() else {}

    @property
    def file(self) -> Path:
        """`episodes.jsonl`."""
        return self.folder / EPISODES_NAME

    def append(self, record: EpisodeRecord) -> None:
        """Add a finished episode."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
        self.finished[record.number] = record

    def records(self) -> list[EpisodeRecord]:
        """All episodes, in the order of their tasks."""
        return [self.finished[number] for number in sorted(self.finished)]

    def _check_settings(self) -> None:
        file = self.folder / SETTINGS_NAME
        wanted = json.loads(json.dumps(self.settings))
        if not file.exists():
            part = file.with_suffix(".part")
            part.write_text(json.dumps(wanted, indent=2, ensure_ascii=False) + "\n", "utf-8")
            part.replace(file)
            return
        found = json.loads(file.read_text("utf-8"))
        if different := sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key)):
            changes = "\n    ".join(f"{key}: {found.get(key)!r} there, {wanted.get(key)!r} now" for key in different)
            raise DataError(
                f"{self.folder}: holds episodes of other settings:\n    {changes}\n    write another --out, or the "
                "settings that it was begun with"
            )


def read_episodes(file: Path) -> list[EpisodeRecord]:
    """The episodes of a log, or of the `evaluate` stage's file.

    Raises DataError, with file and line, when a line is no episode.
    """
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    return [_read(line, f"{file}:{at}", at - 1) for at, line in enumerate(lines, start=1) if line.strip()]


def _read(line: str, where: str, number: int) -> EpisodeRecord:
    try:
        data = json.loads(line)
        data.setdefault("number", number)
        data.setdefault("app", data["template"].split(".")[0])
        steps = tuple(StepRecord(**step) for step in data.pop("steps"))
        return EpisodeRecord(**{**data, "sub_goals": tuple(data["sub_goals"])}, steps=steps)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{where}: no episode: {error}; episodes are written by: recipes eval") from error


def _drop_cut_line(file: Path) -> None:
    """A kill may cut the last line: what follows the last line break is no episode."""
    if not file.exists():
        return
    data = file.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        part = file.with_suffix(".part")
        part.write_bytes(whole)
        part.replace(file)

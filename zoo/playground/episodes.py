"""Played episodes on disk: one JSON line each, appended as they end, so that a stopped evaluation goes on.

A log belongs to one set of settings; others are refused, since their numbers must not be mixed. One process at a time
writes it. Anybody may read it meanwhile: what follows the last line break is no episode, since it is being written, or
was cut off by a kill.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zoo.errors import DataError

__all__ = ["EPISODES_NAME", "SETTINGS_NAME", "EpisodeLog", "EpisodeRecord", "StepRecord", "read_episodes"]

EPISODES_NAME = "episodes.jsonl"
SETTINGS_NAME = "settings.json"
_LOCK_NAME = ".episodes.lock"
_HOLDER_NAME = ".episodes.pid"


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
    """A folder with `settings.json` and `episodes.jsonl`. Opening it reads; `held` is needed to write."""

    folder: Path
    settings: Mapping[str, Any]
    finished: dict[int, EpisodeRecord] = field(init=False, default_factory=dict)
    """Number of a task -> its episode."""
    _lock: FileLock = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._lock = FileLock(self.folder / _LOCK_NAME, timeout=0)
        self._read()

    @property
    def file(self) -> Path:
        """`episodes.jsonl`."""
        return self.folder / EPISODES_NAME

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the log against every other process that writes it; the lock goes with its process, however that ends.

        Whoever holds it may hold it again. Raises DataError, naming the process, when another one does.
        """
        if self._lock.is_locked:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        holder = self.folder / _HOLDER_NAME
        try:
            self._lock.acquire()
        except Timeout as error:
            pid = holder.read_text("utf-8") if holder.exists() else "unknown"
            raise DataError(
                f"{self.folder}: process {pid} is writing these episodes; wait for it, end it with: kill {pid}, or "
                "write another --out"
            ) from error
        try:
            holder.write_text(str(os.getpid()), "utf-8")
            self._read()
            self._begin()
            yield
        finally:
            holder.unlink(missing_ok=True)
            self._lock.release()

    def append(self, record: EpisodeRecord) -> None:
        """Add a finished episode to a log that is held."""
        assert self._lock.is_locked, "episodes are added to a log that is held"
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
        self.finished[record.number] = record

    def records(self) -> list[EpisodeRecord]:
        """All episodes, in the order of their tasks."""
        return [self.finished[number] for number in sorted(self.finished)]

    def _read(self) -> None:
        self._check_settings()
        self.finished = {record.number: record for record in read_episodes(self.file)} if self.file.exists() else {}

    def _begin(self) -> None:
        """Make the folder one that lines can be added to."""
        _drop_cut_line(self.file)
        file = self.folder / SETTINGS_NAME
        if not file.exists():
            part = file.with_suffix(".part")
            part.write_text(json.dumps(self.settings, indent=2, ensure_ascii=False) + "\n", "utf-8")
            part.replace(file)

    def _check_settings(self) -> None:
        file = self.folder / SETTINGS_NAME
        if not file.exists():
            return
        wanted = json.loads(json.dumps(self.settings))
        found = json.loads(file.read_text("utf-8"))
        if different := sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key)):
            changes = "\n    ".join(f"{key}: {found.get(key)!r} there, {wanted.get(key)!r} now" for key in different)
            raise DataError(
                f"{self.folder}: holds episodes of other settings:\n    {changes}\n    write another --out, or the "
                "settings that it was begun with"
            )


def read_episodes(file: Path) -> list[EpisodeRecord]:
    """The episodes of a log, also of one that is being written, or of the `evaluate` stage's file.

    Raises DataError, with file and line, when a whole line is no episode.
    """
    try:
        # Not splitlines(): a model may write U+2028, which breaks no line of JSON.
        lines = _whole_lines(file.read_bytes()).decode("utf-8").split("\n")
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


def _whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _drop_cut_line(file: Path) -> None:
    """Before a line is added to a file whose last one may have been cut off by a kill."""
    if not file.exists():
        return
    data = file.read_bytes()
    whole = _whole_lines(data)
    if len(whole) < len(data):
        part = file.with_suffix(".part")
        part.write_bytes(whole)
        part.replace(file)

"""Skips what the cache holds, runs the rest, and records both alike.

It reaches stages only through the registry, and writes each record itself, last.
"""

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from zoo import errors, fingerprint, machine, registry
from zoo.cache import Cache, Finished
from zoo.errors import StageFailed, ZooError
from zoo.plan import PlannedStage, StageInput, lineage
from zoo.records import Metric, StageRecord, StageResult
from zoo.refs import StageRef
from zoo.worker import ENVIRONMENT, Job, execute

__all__ = ["Runner", "Watch"]

_LOG_LINES_SHOWN = 12
_GRACE_SECONDS = 10.0


class Watch(Protocol):
    """Whoever looks on: the command line draws it, a test keeps it."""

    def cached(self, stage: PlannedStage, finished: Finished) -> None: ...

    def started(self, stage: PlannedStage, log_file: Path, resumed: bool) -> None: ...

    def progressed(self, stage: PlannedStage, step: int, total: int | None, fields: Mapping[str, Any]) -> None: ...

    def finished(self, stage: PlannedStage, finished: Finished) -> None: ...


@dataclass(frozen=True)
class Runner:
    """How a plan is carried out. Nothing in here changes what comes out."""

    cache: Cache
    fetch: Callable[[StageInput], Path]
    """Brings what is not a stage (a repository of a Hub, a path) to a whole, local folder."""
    watch: Watch
    device: str = "cpu"
    tiny: bool = False
    recipe_files: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1
    """How many processes train one model, where the recipe fixes its global batch; elsewhere they would enlarge it."""

    def run(self, stages: list[PlannedStage], names: Iterable[str], force: Iterable[str] = ()) -> dict[str, Finished]:
        """Finish the named stages, in order, and return every stage that is finished then.

        Raises StageFailed for a crash, the stage's own ZooError for what a user can mend, and ZooError when a stage
        that was left out is needed and not in the cache.
        """
        wanted = set(names)
        finished: dict[str, Finished] = {}
        for stage in stages:
            if stage.key is None:
                raise ZooError(f"stage {stage.name}: what it reads could not be identified; is the Hub reachable?")
            if stage.name in wanted and stage.name in force:
                self.cache.forget(stage.key)
            found = self.cache.find(stage.key)
            if found and stage.name in wanted:
                self.watch.cached(stage, found)
            elif stage.name in wanted:
                found = self._finish(stage, stages, finished)
            if found:
                finished[stage.name] = found
        return finished

    def _finish(self, stage: PlannedStage, stages: list[PlannedStage], finished: Mapping[str, Finished]) -> Finished:
        key = str(stage.key)
        with self.cache.lock(key, wait_seconds=-1):
            if found := self.cache.find(key):  # another recipe made the same while we waited
                self.watch.cached(stage, found)
                return found
            self.watch.started(stage, self.cache.log_file(key), self.cache.has_scratch(key))
            started = datetime.now(UTC)
            clock = time.perf_counter()
            job = self._job(stage, stages, finished)
            result, peak = self._execute(stage, job)
            record = self._record(stage, result, peak, started, time.perf_counter() - clock)
            done = self.cache.finish(key, record)
        self.watch.finished(stage, done)
        return done

    def _job(self, stage: PlannedStage, stages: list[PlannedStage], finished: Mapping[str, Finished]) -> Job:
        key = str(stage.key)
        above = lineage(stages, stage.name)
        return Job(
            kind=stage.kind,
            spec=stage.spec.model_dump(mode="json"),
            inputs={place: str(self._input(stage, item, finished)) for place, item in stage.inputs.items()},
            lineage={name: str(finished[name].folder) for name in above if name in finished},
            recipe_files=self.recipe_files,
            seed=stage.seed,
            device=self._device(stage),
            name=stage.name,
            processes=self._processes(stage),
            scratch=str(self.cache.scratch(key)),
            out=str(self.cache.begin(key)),
        )

    def _processes(self, stage: PlannedStage) -> int:
        return self.processes if getattr(stage.spec, "global_batch", None) else 1

    def _device(self, stage: PlannedStage) -> str:
        """The first GPU for a stage that takes one: a trainer that sees several would split its batch over them."""
        return "cuda:0" if self.device == "cuda" and self._processes(stage) == 1 else self.device

    def _input(self, stage: PlannedStage, item: StageInput, finished: Mapping[str, Finished]) -> Path:
        if not isinstance(item.ref, StageRef):
            return self.fetch(item)
        if item.ref.name not in finished:
            raise ZooError(
                f"stage {stage.name} reads stage {item.ref.name}, which is not finished and was left out; "
                f"run it first, with --until {item.ref.name}"
            )
        self.cache.check_digests(finished[item.ref.name])
        return finished[item.ref.name].folder

    def _execute(self, stage: PlannedStage, job: Job) -> tuple[StageResult, int]:
        def progress(step: int, total: int | None = None, **fields: float | str) -> None:
            self.watch.progressed(stage, step, total, fields)

        if registry.STAGES[stage.kind].isolated:
            tracking = str(self.cache.root / "tracking")
            return _in_its_own_process(stage, job, self.cache.log_file(str(stage.key)), progress, tracking)
        result = execute(job, progress, logging.getLogger("zoo.stage"))
        return result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def _record(
        self, stage: PlannedStage, result: StageResult, peak: int, started: datetime, seconds: float
    ) -> StageRecord:
        part = self.cache.root / "stages" / f"{stage.key}.part"
        files = {
            str(file.relative_to(part)): {"sha256": fingerprint.of_file(file), "bytes": file.stat().st_size}
            for file in sorted(part.rglob("*"))
            if file.is_file()
        }
        return StageRecord(
            name=stage.name,
            kind=stage.kind,
            version=stage.version,
            key=str(stage.key),
            settings=stage.settings,
            inputs={place: str(item.identity) for place, item in stage.inputs.items()},
            seed=stage.seed,
            metrics=result.metrics,
            notes=result.notes,
            files=files,
            versions=machine.versions(),
            hardware={**machine.hardware(), "device": self.device},
            started=started.isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            peak_memory_bytes=peak,
            tiny=self.tiny,
        )


def _in_its_own_process(
    stage: PlannedStage, job: Job, log_file: Path, progress: Callable[..., None], tracking: str
) -> tuple[StageResult, int]:
    read_end, write_end = os.pipe()
    message = Path(job.scratch) / "job.json"
    message.write_text(json.dumps({"job": asdict(job), "pipe": write_end}), "utf-8")
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "zoo.worker", str(message)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
            env={**ENVIRONMENT, "TRACKIO_DIR": tracking, **os.environ},
            start_new_session=True,  # Ctrl-C reaches the runner, which then ends the worker in order
        )
    os.close(write_end)
    outcome: dict[str, Any] = {}
    try:
        with os.fdopen(read_end, encoding="utf-8") as lines:
            for line in lines:
                event = json.loads(line)
                if "progress" in event:
                    told = event["progress"]
                    progress(told["step"], told["total"], **told["fields"])
                outcome.update(event)
        process.wait()
    finally:
        _end(process)
    return _outcome(stage, outcome, process.returncode, log_file)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _outcome(stage: PlannedStage, outcome: Mapping[str, Any], code: int, log_file: Path) -> tuple[StageResult, int]:
    if "error" in outcome:
        meant = getattr(errors, outcome["error"]["type"], ZooError)
        error = ZooError.__new__(meant)  # RecipeError takes problems, the others a message: restore, do not construct
        Exception.__init__(error, f"stage {stage.name}: {outcome['error']['message']}\n  log: {log_file}")
        raise error
    if code != 0 or "result" not in outcome:
        raise StageFailed(_crash(stage, code, log_file))
    told = dict(outcome["result"])
    peak = told.pop("peak_memory_bytes")
    metrics = {name: Metric(**metric) for name, metric in told["metrics"].items()}
    return StageResult(metrics, told["notes"]), peak


def _crash(stage: PlannedStage, code: int, log_file: Path) -> str:
    how = f"was ended by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"crashed (exit status {code})"
    hint = "; was it the machine's memory?" if code == -signal.SIGKILL else ""
    last = log_file.read_text("utf-8", errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
    shown = "\n".join(f"  | {line}" for line in last)
    return (
        f"stage {stage.name} {how}{hint}; what it had done is kept, the same command goes on from there\n"
        f"  log: {log_file}\n{shown}"
    )

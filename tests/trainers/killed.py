"""A training stage in a process that a test kills, started from a server that has torch loaded already."""

import hashlib
import json
import multiprocessing
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.records import StageContext

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["zoo.trainers.sft", "zoo.trainers.grpo", "trl.trainer.sft_trainer", "trl.trainer.grpo_trainer", "peft", "datasets"]
)


@dataclass(frozen=True)
class Run:
    """One stage on folders of its own; `scratch` outlives a kill, `out` does not."""

    kind: str
    spec: dict[str, Any]
    folder: Path
    inputs: dict[str, Path]


@dataclass(frozen=True)
class Outcome:
    """What a finished run leaves, apart from how fast it was."""

    weights: str
    result: str


@dataclass(frozen=True)
class Kill:
    """When to kill: so many seconds after a step was reported (step 0: after the stage began)."""

    step: int
    seconds: float = 0.0


def uninterrupted(run: Run) -> Outcome:
    """Run to the end."""
    process, said = _start(run)
    while said.poll(120) and said.recv() != "ended":
        pass
    process.join()
    return _outcome(run)


def killed(run: Run, kills: Sequence[Kill]) -> tuple[Outcome, list[str]]:
    """Run and kill (SIGKILL) at each of these instants in turn, then run to the end.

    Gives the outcome and, for each kill, the newest checkpoint that it left, whole or not.
    """
    left = []
    for kill in kills:
        process, said = _start(run)
        _wait_for(said, kill.step)
        time.sleep(kill.seconds)
        process.kill()
        process.join()
        left.append(max((p.name for p in (run.folder / "scratch").rglob("checkpoint-*")), default="", key=_step))
    return uninterrupted(run), left


def _wait_for(said: Connection, step: int) -> None:
    reached = 0
    while reached < step and said.poll(120):
        message = said.recv()
        reached = step if message == "ended" else message


def _step(name: str) -> int:
    return int(name.rpartition("-")[2] or 0)


def _start(run: Run) -> tuple[Any, Connection]:
    """Start a process and return once the stage begins."""
    shutil.rmtree(run.folder / "out", ignore_errors=True)
    here, there = _SERVER.Pipe()
    process = _SERVER.Process(target=_work, args=(run, there))
    process.start()
    there.close()
    assert here.poll(120) and here.recv() == "begun"
    return process, here


def _work(run: Run, pipe: Connection) -> None:
    entry = registry.STAGES[run.kind]
    spec = registry.load(entry.spec).model_validate(run.spec)
    stage: Callable[..., Any] = registry.load(entry.run)
    out, scratch = run.folder / "out", run.folder / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir(exist_ok=True)
    pipe.send("begun")

    def tell(step: int, total: int | None = None, **fields: float | str) -> None:
        pipe.send(step)

    result = asdict(stage(spec, StageContext(out, scratch, run.inputs, seed=7, progress=tell)))
    result["metrics"].pop("tokens_per_second", None)
    (run.folder / "result.json").write_text(json.dumps(result, sort_keys=True), "utf-8")
    pipe.send("ended")


def _outcome(run: Run) -> Outcome:
    weights = (run.folder / "out" / "model.safetensors").read_bytes()
    return Outcome(hashlib.sha256(weights).hexdigest(), (run.folder / "result.json").read_text("utf-8"))

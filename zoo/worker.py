"""One stage in a process of its own: `python -m zoo.worker JOB.json`, started by the runner.

Everything that the stage prints goes to its log. What the runner must know goes, a JSON object a line, through the pipe
whose number is in the job: `progress`, then `result` or `error` (an error that we mean; a bug prints its traceback and
ends the process). When the runner dies, its end of standard input closes and the worker ends with it.
"""

import json
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo import records, registry
from zoo.errors import ZooError
from zoo.records import StageContext, StageResult

__all__ = ["ENVIRONMENT", "Job", "execute"]

ENVIRONMENT = {
    # A stage reads what the runner fetched for it and nothing else.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
    # How long OpenMP's threads spin for each other. Its default costs tenfold on shared cores; not to spin at all costs
    # a tenth on idle ones (fine-tuning of SmolLM2-135M on two cores: 609 tokens/s, against 537 and 542).
    "GOMP_SPINCOUNT": "1000",
}
"""What a worker's environment says unless the user's own says otherwise."""

_GRACE_SECONDS = 10.0
"""For the first process to tell its own error before everything ends."""


@dataclass(frozen=True)
class Job:
    """Everything that a stage needs, as it travels to its process."""

    kind: str
    spec: Mapping[str, Any]
    out: str
    scratch: str
    inputs: Mapping[str, str]
    lineage: Mapping[str, str]
    """Stage name -> its finished folder."""
    recipe_files: Mapping[str, str]
    seed: int
    device: str
    name: str = ""
    """What the recipe calls the stage."""
    processes: int = 1
    """How many processes train the stage's model together."""


def execute(job: Job, progress: records.Progress, log: logging.Logger) -> StageResult:
    """Run a job's stage in this process."""
    entry = registry.STAGES[job.kind]
    context = StageContext(
        out=Path(job.out),
        scratch=Path(job.scratch),
        inputs={place: Path(path) for place, path in job.inputs.items()},
        seed=job.seed,
        lineage={name: records.read(Path(folder)) for name, folder in job.lineage.items()},
        recipe_files=job.recipe_files,
        name=job.name,
        device=job.device,
        progress=progress,
        log=log,
    )
    spec = registry.load(entry.spec).model_validate(job.spec)
    result: StageResult = registry.load(entry.run)(spec, context)
    return result


def _serve(job: Job, pipe: int) -> int:
    with os.fdopen(pipe, "w", buffering=1, encoding="utf-8") as runner:

        def tell(**message: Any) -> None:
            print(json.dumps(message), file=runner)

        def progress(step: int, total: int | None = None, **fields: float | str) -> None:
            tell(progress={"step": step, "total": total, "fields": fields})

        try:
            result = execute(job, progress, logging.getLogger("zoo.stage"))
        except ZooError as error:
            logging.getLogger("zoo.stage").error("%s", error)
            tell(error={"type": type(error).__name__, "message": str(error)})
            return error.exit_code
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        tell(result={**asdict(result), "peak_memory_bytes": peak})
        return 0


def _end_with_the_runner() -> None:
    # Not sys.stdin: a buffered reader that waits in a daemon thread makes the interpreter abort when it ends.
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def _start_the_others(job_file: str, count: int) -> None:
    """Start the processes 1 to `count - 1` that train with this one, and tell all of them how to find each other.

    These are the variables of torch's own launcher, from which accelerate takes them. One that ends early would leave
    the rest waiting for it for ever, so that everything ends with it, after a moment for this one's own message.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for rank in range(count - 1, -1, -1):
        mine = {**world, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        if rank == 0:
            os.environ.update(mine)
            continue
        command = [sys.executable, "-m", "zoo.worker", job_file]
        other = subprocess.Popen(command, stdin=subprocess.DEVNULL, env={**os.environ, **mine})
        threading.Thread(target=_end_with, args=(other,), daemon=True).start()


def _end_with(other: "subprocess.Popen[bytes]") -> None:
    if other.wait() != 0:
        time.sleep(_GRACE_SECONDS)
        os.killpg(0, signal.SIGKILL)


def _help(job: Job) -> int:
    """Be one of the others: train along, say nothing."""
    try:
        execute(job, records.no_progress, logging.getLogger("zoo.stage"))
    except ZooError as error:  # the first process meets it too, and tells it
        return error.exit_code
    return 0


def main() -> int:
    """Run the job that the command line names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    message = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    job = Job(**message["job"])
    if int(os.environ.get("RANK", "0")) > 0:
        return _help(job)
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    if job.processes > 1:
        _start_the_others(sys.argv[1], job.processes)
    return _serve(job, message["pipe"])


if __name__ == "__main__":
    sys.exit(main())

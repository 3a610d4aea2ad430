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
import sys
import threading
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


def main() -> int:
    """Run the job that the command line names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    message = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    return _serve(Job(**message["job"]), message["pipe"])


if __name__ == "__main__":
    sys.exit(main())

"""One model, measured in a process that does nothing else: `python -m zoo.latency.measuring JOB.json`.

What the process takes at most is then what this model needs, and a runtime whose threads still spin disturbs no other.
Progress goes to standard output, a JSON object a line; the figures go to the file that the job names, whole or not at
all.

Speed is measured by the loop that the agent answers with (`zoo.serving.stepwise`): at fixed lengths with nothing shared
between prompts, and over consecutive steps of an agent with what the recipe switched on.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from zoo.errors import ZooError
from zoo.latency.job import Job
from zoo.playground import ask_runtime
from zoo.schema import AgentSpec
from zoo.serving import AnyRuntime, Memory, fastest_threads, open_model, stepwise

__all__ = ["Figures", "Step", "measure"]

_CONTEXT = 4096
"""What an agent is opened with (`zoo.serving.open_model`)."""


@dataclass(frozen=True)
class Step:
    """One step of the agent."""

    seconds: float
    prompt_tokens: int
    computed_tokens: int
    """Tokens of the prompt that were not taken from the cache."""
    tokens: int
    """Of the answer."""
    calls: int
    """How often the model ran."""


@dataclass(frozen=True)
class Figures:
    """What one model costs. Lists hold one value a repeat or step, without the warm-up."""

    runtime: str
    version: str
    number_type: str
    threads: int
    context: int | None
    load_seconds: float
    first_token_seconds: list[float]
    """Of a prompt of the fixed length."""
    decode_seconds: list[float]
    """From the first to the last token of an answer of the fixed length."""
    steps: list[Step]
    memory: Memory
    """Peak: of everything above."""


def measure(job: Job) -> Figures:
    """Load, measure at fixed lengths, answer the agent's steps. Raises what opening raises, and ModelError when a chat
    template does not take the agent's chats."""
    started = time.perf_counter()
    dtype: Literal["bfloat16"] = "bfloat16"
    context = max(_CONTEXT, job.prompt_tokens + job.answer_tokens)
    with open_model(Path(job.source), threads=job.threads, context=context, dtype=dtype) as runtime:
        load_seconds = time.perf_counter() - started
        fixed = _fixed(runtime, job)
        runtime.reuse, runtime.lookup = job.reuse, job.lookup
        steps = _steps(runtime, job)
        told = runtime.describe()
        kind = (told.runtime, told.version, told.number_type, told.threads, told.context)
        return Figures(*kind, load_seconds, *fixed, steps, runtime.memory)


def _fixed(runtime: AnyRuntime, job: Job) -> tuple[list[float], list[float]]:
    """Seconds to the first token, and from the first to the last, of every repeat."""
    first, rest = [], []
    total = job.warm_up + job.repeats
    for index in range(total):
        seconds = stepwise.token_seconds(runtime, _prompt(runtime, job.prompt_tokens, index), job.answer_tokens)
        first.append(seconds[0])
        rest.append(seconds[-1] - seconds[0])
        _tell(index + 1, total + job.warm_up + len(job.chats))
    return first[job.warm_up :], rest[job.warm_up :]


def _prompt(runtime: AnyRuntime, length: int, index: int) -> list[int]:
    """So many tokens of ordinary words, others for each index."""
    said = runtime.encode("The agent looks at the screen and says what it sees, one element after the other. ")
    turned = said[index % len(said) :] + said[: index % len(said)]
    return (turned * (length // len(turned) + 1))[:length]


def _steps(runtime: AnyRuntime, job: Job) -> list[Step]:
    """Every step, in order, after the last ones as a warm-up."""
    agent = AgentSpec.model_validate(job.agent)
    ask = ask_runtime(agent, runtime)
    found = []
    warm = list(job.chats[-job.warm_up :]) if job.warm_up else []
    before = job.warm_up + job.repeats
    for index, chat in enumerate([*warm, *job.chats]):
        started = time.perf_counter()
        (answer,) = ask([chat])
        seconds = time.perf_counter() - started
        found.append(Step(seconds, answer.prompt_tokens, runtime.prefilled_tokens, answer.tokens, runtime.calls))
        _tell(before + index + 1, before + len(warm) + len(job.chats))
    return found[len(warm) :]


def _tell(step: int, total: int) -> None:
    print(json.dumps({"step": step, "total": total}), flush=True)  # noqa: T201 - the stage reads it


def main() -> int:
    """Do the job that the command line names."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    try:
        if job.part == "threads":
            found: dict[str, Any] = asdict(fastest_threads(Path(job.source)))
        else:
            found = asdict(measure(job))
    except ZooError as error:
        found = {"error": str(error)}
    target = Path(job.target)
    part = target.with_name(target.name + ".part")
    part.write_text(json.dumps(found), "utf-8")
    part.replace(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())

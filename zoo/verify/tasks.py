"""Success of a file on held-out tasks beside the success of its checkpoint, by the state of the world.

Next-token distributions say how much an export changed; only whole tasks say whether that costs anything, since a slip
may be mended by a later step and a small one may end an episode.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from zoo.agent import run_episodes
from zoo.environments import Task
from zoo.metrics import rate
from zoo.prompt import Chat
from zoo.records import Metric, Progress, no_progress
from zoo.schema import AgentSpec
from zoo.serving import Runtime

__all__ = ["TaskAgreement", "compare_tasks"]

_SIDE_BY_SIDE = 8
"""Episodes that step together: torch answers them in one batch, llama.cpp one after the other."""


@dataclass(frozen=True)
class TaskAgreement:
    """The same tasks, acted on by both."""

    tasks: int
    reference_successes: int
    successes: int
    same_outcome: int
    """Tasks that both completed or both did not."""

    @property
    def success_rate(self) -> Metric:
        """Of the file."""
        return rate(self.successes, self.tasks)

    @property
    def reference_success_rate(self) -> Metric:
        """Of the checkpoint."""
        return rate(self.reference_successes, self.tasks)

    @property
    def drop(self) -> float:
        """Percentage points of success that the file loses; below 0 when it gains."""
        return 100 * (self.reference_successes - self.successes) / self.tasks


def compare_tasks(
    agent: AgentSpec,
    reference: Runtime,
    candidates: Mapping[str, Runtime],
    tasks: Sequence[Task],
    progress: Progress = no_progress,
) -> dict[str, TaskAgreement]:
    """Let the checkpoint and every file act on all tasks. Nothing is run, and nothing returned, without tasks."""
    if not tasks or not candidates:
        return {}
    wanted = _outcomes(agent, reference, tasks, progress, "checkpoint")
    found = {}
    for name, candidate in candidates.items():
        outcomes = _outcomes(agent, candidate, tasks, progress, name)
        same = sum(ours == theirs for ours, theirs in zip(wanted, outcomes, strict=True))
        found[name] = TaskAgreement(len(tasks), sum(wanted), sum(outcomes), same)
    return found


def _outcomes(agent: AgentSpec, runtime: Runtime, tasks: Sequence[Task], progress: Progress, who: str) -> list[bool]:
    def told(step: int, total: int | None = None, **fields: float | str) -> None:
        progress(step, total, comparing=f"tasks, {who}", **fields)

    generate = partial(_generate, runtime, agent.answer_tokens)
    return [one.success for one in run_episodes(agent, tasks, generate, batch=_SIDE_BY_SIDE, progress=told)]


def _generate(runtime: Runtime, answer_tokens: int, chats: Sequence[Chat]) -> list[str]:
    return [answer.text for answer in runtime.generate(chats, answer_tokens)]

"""An episode as a list of answers: given a task and the answers so far, where it stands.

The worlds here are deterministic and cheap, so an episode is played again from its answers whenever somebody looks at
it. That makes a person's taps, a hand-over, a stop and a recorded episode the same thing: answers. Time is not looked
at here; whoever generates answers keeps to a limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from zoo.agent import End, Situation, Step, expert_answers, play
from zoo.environments import Task
from zoo.schema import AgentSpec

__all__ = ["Over", "after", "expert_course", "own_words"]

_PATIENCE = 100


@dataclass(frozen=True)
class Over:
    """An episode that has ended by itself."""

    environment: Any
    """As the last action left it."""
    steps: tuple[Step, ...]
    ended: End
    success: bool
    sub_goals: tuple[bool, ...]


class _Waiting(Exception):
    """The answers are used up and the episode is not over."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation


def after(spec: AgentSpec, task: Task, answers: Sequence[str]) -> Situation | Over:
    """The episode after these answers: a situation that waits for the next one, or its end. Answers that follow the
    end are not looked at."""
    seen: list[Situation] = []

    def answer(situations: Sequence[Situation]) -> list[str]:
        (situation,) = seen[:] = situations
        if len(situation.steps) == len(answers):
            raise _Waiting(situation)
        return [answers[len(situation.steps)]]

    try:
        (episode,) = play(spec, [task], answer)
    except _Waiting as waiting:
        return waiting.situation
    return Over(seen[0].environment, episode.steps, episode.ended, episode.success, episode.sub_goals)


@lru_cache(maxsize=256)
def expert_course(spec: AgentSpec, task: Task) -> tuple[str, ...]:
    """What the world's scripted expert answers, step by step: the shortest way that it knows."""
    patient = spec.model_copy(update={"rounds": _PATIENCE, "episode_seconds": None})
    (episode,) = play(patient, [task], expert_answers(patient))
    return tuple(step.answer for step in episode.steps)


def own_words(task: Task, instruction: str) -> Task:
    """The same phone with another instruction, for which no check of the state exists."""
    return replace(task, id=f"{task.id} in other words", instruction=instruction)

"""Whole episodes that rows are made of: what was seen, what was said, what was called, step by step.

The prompt of a step shows the state assessments of the steps before it. Whoever rewrites these (a teacher) makes the
rows anew, so that training shows the memory that the agent will have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.actions import Action, read_answer, write
from zoo.data.pictures import Picture
from zoo.data.rows import Row
from zoo.memory import noted
from zoo.prompt import messages
from zoo.schema import AgentSpec

__all__ = ["Trajectory", "TrajectoryStep", "prompt_of", "rows_of"]


@dataclass(frozen=True)
class TrajectoryStep:
    """One step."""

    observation: str
    answer: str
    """The three-tag answer; only its assessment may be of use when there was no call."""
    action: Action | None
    is_row: bool = True
    """Whether it is to be learned; a wrong step and one without a call are not."""
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Trajectory:
    """One episode."""

    task: str
    template: str
    instruction: str
    steps: tuple[TrajectoryStep, ...]


def prompt_of(agent: AgentSpec, trajectory: Trajectory, answers: Sequence[str], at: int) -> list[dict[str, str]]:
    """What the agent is asked in step `at` when it has answered `answers` before."""
    history = []
    for step, text in zip(trajectory.steps[:at], answers, strict=False):
        call = write(step.action) if step.action else None
        if note := noted(agent, read_answer(text).assessment, call):
            history.append(note)
    return messages(agent, trajectory.instruction, history, trajectory.steps[at].observation)


def rows_of(agent: AgentSpec, trajectory: Trajectory, answers: Sequence[str] | None = None) -> list[tuple[int, Row]]:
    """The step and the row of each step that is to be learned; `answers` takes the place of what was said."""
    said = [step.answer for step in trajectory.steps] if answers is None else answers
    return [
        (
            at,
            Row(
                prompt_of(agent, trajectory, said, at),
                [{"role": "assistant", "content": said[at]}],
                write(step.action),
                trajectory.task,
                trajectory.template,
                at,
            ),
        )
        for at, step in enumerate(trajectory.steps)
        if step.is_row and step.action
    ]

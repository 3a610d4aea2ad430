"""Rows that tell what is observed after a call: the expert's, and others tried at the same state.

Implicit world modelling before reinforcement, after Early Experience (arXiv 2510.08558): there the policy proposes the
other calls; here they are drawn by chance among what the screen and the task offer, mistakes included.
"""

from collections.abc import Iterator, Sequence
from random import Random

from zoo.actions import Action, write, write_answer
from zoo.data.rows import Row
from zoo.data.tasks import drawn_tasks
from zoo.data.trajectories import Trajectory, rows_of
from zoo.environments import Environment
from zoo.prompt import foresight
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import DataSpec

__all__ = ["foresight_rows"]

_TRIES = 4
"""Draws for each alternative, since some are the expert's call or another draw again."""


def foresight_rows(spec: DataSpec, seed: int, trajectories: Sequence[Trajectory]) -> Iterator[Row]:
    """What each step to be learned of the expert's trajectories leads to, each followed by what
    `spec.alternatives` other calls would have led to, fewer where the state does not offer so many."""
    world = load(ENVIRONMENTS[spec.agent.world])
    tasks = {task.id: task for task in drawn_tasks(spec, seed)}
    environment: Environment = world(spec.agent.observation)
    for trajectory in trajectories:
        rng = Random(f"foresight {seed} {trajectory.task}")
        learned = dict(rows_of(spec.agent, trajectory))
        environment.reset(tasks[trajectory.task])
        for at, step in enumerate(trajectory.steps):
            assert step.action is not None
            if at in learned:
                yield from _outcomes(spec, environment, learned[at], step.action, rng)
            environment.step(step.action)


def _outcomes(spec: DataSpec, environment: Environment, row: Row, action: Action, rng: Random) -> Iterator[Row]:
    """The environment stays as it is. An alternative's answer has no reasoning: nobody had any."""
    answers = {action: row.completion[0]["content"]}
    for _ in range(_TRIES * spec.alternatives):
        if len(answers) <= spec.alternatives:
            other = _any_call(environment, rng)
            answers.setdefault(other, write_answer("", "", other))
    for call, answer in answers.items():
        trial: Environment = environment.copy()
        after = [{"role": "assistant", "content": trial.step(call)}]
        yield Row(foresight(row.prompt, answer), after, write(call), row.task, row.template, row.step)


def _any_call(environment: Environment, rng: Random) -> Action:
    """A tap on what is there, one of the task's values as text, or back."""
    numbers, values = list(environment.numbers), sorted(environment.task.values.values())
    names = ["tap"] * 2 * bool(numbers) + ["text"] * 2 * bool(values) + ["back"]
    match rng.choice(names):
        case "tap":
            return Action("tap", (rng.choice(numbers),))
        case "text":
            return Action("text", (rng.choice(values),))
        case name:
            return Action(name)

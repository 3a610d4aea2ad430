"""Rows that tell what is observed after a call: the expert's, and others tried at the same state.

Implicit world modelling before reinforcement, after Early Experience (arXiv 2510.08558): there the policy proposes the
other calls; here they are drawn by chance among what the screen and the task offer, mistakes included.
"""

from random import Random

from zoo.actions import Action, write, write_answer
from zoo.data.rows import Row
from zoo.environments import Environment, ExpertStep
from zoo.prompt import Chat, foresight
from zoo.schema import DataSpec

__all__ = ["foresight_rows"]

_TRIES = 4
"""Draws for each alternative, since some are the expert's call or another draw again."""


def foresight_rows(
    spec: DataSpec, environment: Environment, chat: Chat, step: ExpertStep, number: int, rng: Random
) -> list[Row]:
    """What the expert's step leads to, then `spec.alternatives` others, fewer where the state does not offer so many.

    The environment stays as it is. An alternative's answer has no reasoning: nobody had any.
    """
    answers = {step.action: step.answer(spec.agent.style)}
    for _ in range(_TRIES * spec.alternatives):
        if len(answers) <= spec.alternatives:
            action = _any_call(environment, rng)
            answers.setdefault(action, write_answer("", "", action))
    task, rows = environment.task, []
    for action, answer in answers.items():
        trial: Environment = environment.copy()
        after = [{"role": "assistant", "content": trial.step(action)}]
        rows.append(Row(foresight(chat, answer), after, write(action), task.id, task.template, number))
    return rows


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

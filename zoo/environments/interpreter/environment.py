"""One question: programs are run and their output shown, until an answer is given and judged by its generator.

An observation is everything that was run so far with what it printed, as ReTool's context is; at the beginning it is
empty. A program runs alone: nothing that an earlier one left is there. Its limits are those of `zoo.sandbox`, and what
goes wrong in it is told by the last line of its error.
"""

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

from zoo.actions import Action
from zoo.environments import ExpertStep, Observation, Split, Task
from zoo.environments.interpreter.tasks import draw_tasks, question_of
from zoo.sandbox import Outcome, Sandbox

__all__ = ["AloneEnvironment", "ArithmeticEnvironment", "shown"]


class ArithmeticEnvironment:
    """Arithmetic with an interpreter. See `zoo.environments.Environment` for the protocol."""

    has_interpreter: ClassVar[bool] = True
    numbers: Sequence[int] = ()

    def __init__(self, observation: Observation = "xml", sandbox: Sandbox | None = None) -> None:
        """There is one form of observation; the argument is every world's."""
        self.sandbox = sandbox or Sandbox()
        self.done = True
        self.steps = 0

    def reset(self, task: Task) -> str:
        """Ask a question. The first observation is empty: nothing was run yet."""
        self.task, self.question = task, question_of(task)
        self.done, self.steps = False, 0
        self.runs: tuple[tuple[str, Outcome], ...] = ()
        self.answer: str | None = None
        return ""

    def step(self, action: Action) -> str:
        """Run a program, or end with an answer. Another action, or a program where there is no interpreter, does
        nothing.

        Raises RuntimeError when the episode is over, EnvironmentFailure when this machine has no sandbox.
        """
        if self.done:
            raise RuntimeError("the episode is over; call reset")
        self.steps += 1
        if action.name == "finish":
            self.done, self.answer = True, str(action.arguments[0])
        elif action.name == "code" and self.has_interpreter:
            source = str(action.arguments[0])
            self.runs = (*self.runs, (source, self.sandbox.run(source)))
        return self.observation()

    def observation(self) -> str:
        """Every program and what it printed, oldest first."""
        return "\n".join(
            f"<code>\n{source}\n</code>\n<interpreter>\n{shown(outcome)}\n</interpreter>"
            for source, outcome in self.runs
        )

    def success(self) -> bool:
        """Whether the answer is the right one."""
        return self.done and self.answer is not None and self.question.is_right(self.answer)

    def sub_goals(self) -> tuple[bool, ...]:
        """With an interpreter: a program printed the right answer, the right answer was given."""
        return (self._printed() is not None, self.success()) if self.has_interpreter else (self.success(),)

    def expert(self) -> ExpertStep:
        """The program that computes the answer, then what it printed; without an interpreter, the answer."""
        if not self.has_interpreter:
            return _step(Action("finish", (self.question.answer,)), "I know the result.")
        printed = self._printed()
        if printed is None:
            return _step(Action("code", (self.question.program,)), "A program computes this exactly.")
        return _step(Action("finish", (printed,)), "The interpreter printed the result.")

    def copy(self) -> Any:
        """An independent environment in the same state."""
        return copy.copy(self)

    @property
    def stored(self) -> Any:
        """The programs that were run."""
        return tuple(source for source, _ in self.runs)

    @staticmethod
    def draw_tasks(split: Split, count: int, seed: int) -> Sequence[Task]:
        """See `zoo.environments.interpreter.tasks.draw_tasks`."""
        return draw_tasks(split, count, seed)

    def _printed(self) -> str | None:
        outputs = [outcome.output for _, outcome in self.runs if outcome.ended == "done"]
        return next((output for output in outputs if self.question.is_right(output)), None)


class AloneEnvironment(ArithmeticEnvironment):
    """The same questions without an interpreter: what a model computes in its head."""

    has_interpreter: ClassVar[bool] = False


def shown(outcome: Outcome) -> str:
    """What the agent is told of a program.

    >>> shown(Outcome("1", "ZeroDivisionError: division by zero", "error", False, 0.1))
    '1\\nZeroDivisionError: division by zero'
    """
    said = [outcome.output + ("... (cut)" if outcome.cut else "")]
    match outcome.ended:
        case "error":
            said.append(outcome.error or "the program ended with an error")
        case "time":
            said.append("TimeoutError: the program took too long and was stopped")
        case "killed":
            said.append("the program crashed")
    return "\n".join(line for line in said if line) or "(it printed nothing)"


def _step(action: Action, reasoning: str) -> ExpertStep:
    return ExpertStep(action, "", "", reasoning, "")

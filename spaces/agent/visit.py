"""One visitor's phone: the task, the answers so far, who gave them and what they cost.

Everything else (screens, success, the expert's way) follows from the answers, see `course`.
"""

import time
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Literal

from course import Over, after, expert_course, own_words

from zoo.actions import Action, read_answer, write_answer
from zoo.agent import Situation
from zoo.environments import Environment, Task
from zoo.schema import AgentSpec

__all__ = ["LONGEST_TASK", "LONGEST_TEXT", "Cost", "Hand", "Visit"]

LONGEST_TASK = 240
"""Characters of a task in a visitor's own words."""
LONGEST_TEXT = 120
"""Characters that a visitor may type into a field of the phone."""
_MOST_OF_HAND = 40

By = Literal["agent", "you", "recorded"]


@dataclass(frozen=True)
class Cost:
    """What one answer took."""

    by: By
    seconds: float = 0.0
    tokens: int = 0
    first_token_seconds: float = 0.0


Hand = Cost("you")


@dataclass
class Visit:
    """See the module."""

    spec: AgentSpec
    task: Task
    checked: bool = True
    """Whether the state of the phone says if the task was done; not for a task in the visitor's own words."""
    answers: list[str] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    name: str = ""
    """Who acts."""
    stop: Event = field(default_factory=Event)
    running: bool = False
    ended: str = ""
    """Why it ended, when not by itself: `stopped` or `time`."""
    opened: float = field(default_factory=time.monotonic)

    def __deepcopy__(self, memo: dict[int, object]) -> "Visit":
        """A visitor's own phone is never shared, and an event cannot be copied."""
        return replace(self, answers=list(self.answers), costs=list(self.costs), stop=Event(), running=False)

    def begin(self, task: Task, instruction: str = "") -> None:
        """Another task, or the same one anew. `instruction`: in the visitor's own words."""
        self.task = own_words(task, instruction) if instruction else task
        self.checked = not instruction
        self.answers, self.costs, self.ended = [], [], ""
        self.stop.clear()

    def give(self, answer: str, cost: Cost) -> None:
        """The next answer."""
        self.answers.append(answer)
        self.costs.append(cost)
        self.ended = ""

    def touch(self, action: Action) -> bool:
        """The visitor's own hand; False when the episode is over or long enough."""
        if isinstance(self.now, Over) or len(self.answers) >= _MOST_OF_HAND:
            return False
        self.give(write_answer("", "", action), Hand)
        return True

    @property
    def now(self) -> Situation | Over:
        """Where the episode stands."""
        return self.at(len(self.answers))

    def at(self, step: int) -> Situation | Over:
        """Where it stood after so many answers."""
        return after(self._patient(), self.task, self.answers[:step])

    def screen(self, step: int) -> Environment:
        """The world after so many answers."""
        environment: Environment = self.at(step).environment
        return environment

    def action(self, step: int) -> Action | None:
        """What was done on the screen after so many answers; None at the end, or when it was no readable call."""
        return read_answer(self.answers[step]).action if step < len(self.answers) else None

    @property
    def expert_steps(self) -> int | None:
        """Of the shortest way that the expert knows; None for a task in other words."""
        return len(expert_course(self.spec, self.task)) if self.checked else None

    @property
    def computed_seconds(self) -> float:
        """Of all answers together."""
        return sum(cost.seconds for cost in self.costs)

    def _patient(self) -> AgentSpec:
        """A visitor's own steps take none from the agent."""
        by_hand = sum(cost.by == "you" for cost in self.costs)
        return self.spec.model_copy(update={"rounds": self.spec.rounds + by_hand, "episode_seconds": None})

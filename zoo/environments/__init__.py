"""What every world of an agent offers: tasks, a place to act in, a judge that reads the state, and an expert.

A world is found by its name in `zoo.registry.ENVIRONMENTS`. Its actions follow TRL's environment protocol in spirit
(reset, then actions); that a bad action is data and never raises is part of the bargain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from zoo.actions import Action, write_answer

__all__ = [
    "Closing",
    "Environment",
    "ExpertStep",
    "Kind",
    "Observation",
    "PartlyKnown",
    "Pictured",
    "Pictures",
    "Split",
    "Style",
    "Task",
]

Split = Literal["train", "held-out-parameters", "held-out-templates", "held-out-app"]
Style = Literal["openphone", "terse"]
Observation = Literal["xml", "terse", "xml-bounds"]
Pictures = Literal["none", "plain", "marks"]
Kind = Literal["operation", "query"]


@dataclass(frozen=True)
class Task:
    """One thing to do, and everything that decides the world in which it is to be done."""

    id: str
    """Unique among all tasks of a world: template, parameters and world, readable."""
    template: str
    """`app.what`."""
    kind: Kind
    """As AndroidLab counts: an operation changes state, a query answers a question with `finish`."""
    app: str
    instruction: str
    parameters: tuple[tuple[str, str], ...]
    split: Split
    world: int
    """Seed of everything on the phone that the parameters leave open."""
    values: dict[str, str] = field(init=False, repr=False, compare=False)
    """`parameters` as a dict."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", dict(self.parameters))


@dataclass(frozen=True)
class ExpertStep:
    """What the expert does next, and why, in both styles of `zoo.schema.AgentSpec`."""

    action: Action
    reasoning: str
    """Terse: a few words."""
    assessment: str
    """Terse: where the agent is, what it knows, what it needs."""
    long_reasoning: str
    """Two or three sentences in the first person."""
    long_assessment: str
    """OpenPhone's three lines: Current State, Required Change, Action Need."""

    def assessed(self, style: Style) -> str:
        """The state assessment in a style."""
        return self.assessment if style == "terse" else self.long_assessment

    def answer(self, style: Style, written: Callable[[str, str, Action], str] = write_answer) -> str:
        """The answer in a style, in the three tags or in those of another dialect (`zoo.dialects`)."""
        reasoning = self.reasoning if style == "terse" else self.long_reasoning
        return written(reasoning, self.assessed(style), self.action)


class Environment(Protocol):
    """One agent's world. An instance is used for one episode after the other."""

    done: bool
    steps: int
    """Actions since `reset`, invalid ones included."""
    task: Task
    """The task as `reset` set it up: a world that writes its instructions itself has filled it in."""

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of what can be touched on the screen: those of the elements themselves, whatever texts say."""

    @property
    def stored(self) -> Any:
        """All that the world stores, to be compared: two are equal when nothing but the view of it differs."""

    def reset(self, task: Task) -> str:
        """Begin a task; the first observation."""

    def step(self, action: Action) -> str:
        """Act; the next observation. An action that hits nothing leaves the screen as it is and counts as a step.

        Raises RuntimeError when the episode is over. It and `reset` raise EpisodeLost when the world breaks down.
        """

    def success(self) -> bool:
        """Whether the task was finished and the state (for a query: the message) is right. False before the end."""

    def sub_goals(self) -> tuple[bool, ...]:
        """For each part of the task, in order, whether it is reached."""

    def expert(self) -> ExpertStep:
        """What leads from here to success by the shortest way that the expert knows."""

    def copy(self) -> Any:
        """An independent environment in the same state; cheap."""

    @staticmethod
    def draw_tasks(split: Split, count: int, seed: int) -> Sequence[Task]:
        """So many distinct tasks, evenly over the templates of the split; same arguments, same tasks.

        Raises ValueError, with the maximum, when the split does not have so many.
        """


@runtime_checkable
class Closing(Protocol):
    """An environment that holds something of the machine, and gives it back."""

    def close(self) -> None:
        """Give it back; may be called twice."""


@runtime_checkable
class PartlyKnown(Protocol):
    """A world whose expert does not know the way of every task."""

    @staticmethod
    def expert_knows(task: Task) -> bool:
        """Whether it knows this one's."""


@runtime_checkable
class Pictured(Protocol):
    """An environment whose screen can be drawn."""

    def screenshot(self, marks: bool = False) -> Any:
        """The screen as a `PIL.Image.Image`, RGB; with `marks`, elements carry their numbers (Set-of-Marks)."""

"""One episode on the phone: reset, act, and be judged by the state that is left."""

import re
from typing import TYPE_CHECKING, ClassVar

from zoo.actions import Action
from zoo.environments import ExpertStep, Observation, Split, Task
from zoo.environments.phone.disturbances import draw_disturbances
from zoo.environments.phone.expert import next_step, wants
from zoo.environments.phone.layout import Layout, arrange
from zoo.environments.phone.machine import observe, observe_tersely, touchable, transition, visible
from zoo.environments.phone.state import Data, State
from zoo.environments.phone.tasks import FOUR, TEN, Edition, draw_tasks, set_up
from zoo.environments.phone.xml import compressed_xml
from zoo.errors import EnvironmentFailure

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["PhoneEnvironment", "TenAppPhone", "answers"]

_OBSERVERS = {"xml": observe, "terse": observe_tersely}
_WORD = re.compile(r"[\w@%:.-]*\w%?")
_FILLERS = frozenset(
    {"a", "an", "answer", "are", "at", "for", "has", "is", "it", "its", "last", "message", "my", "of"}
    | {"on", "set", "that", "the", "this", "to", "was", "with"}
)

_VERDICTS = frozenset({"yes", "no", "or"})
"""What a question may offer to choose from, so that saying both is no answer."""


class PhoneEnvironment:
    """The embedded phone. See `zoo.environments.Environment` for the protocol.

    >>> environment = PhoneEnvironment()
    >>> environment.reset(draw_tasks("train", 1, seed=0)[0]).splitlines()[0]
    ';;Home'
    """

    edition: ClassVar[Edition] = FOUR

    def __init__(self, observation: Observation = "xml", disturbed: bool | None = None) -> None:
        """`disturbed`: whether tasks are disturbed where their seed says so; by default, as the edition has it."""
        self._kind = observation
        self.disturbed = self.edition.disturbs if disturbed is None else disturbed
        self.done = True
        self.steps = 0

    def reset(self, task: Task) -> str:
        """Begin a task on its own phone, at the launcher unless something else was left open."""
        data, self.goal = set_up(task, self.edition)
        self.task: Task = task
        self.initial = data
        self.message: str | None = None
        self.done, self.steps, self.seen = False, 0, False
        self.visited: frozenset[tuple[str, str]] = frozenset()
        self._arrive(State(data, *draw_disturbances(task.world, self._apps())) if self.disturbed else State(data))
        return self.observation()

    def step(self, action: Action) -> str:
        """Act; the next observation. Raises RuntimeError when the episode is over."""
        self.act(action)
        return self.observation()

    def act(self, action: Action) -> None:
        """Act without asking for the observation, for whoever reads the state."""
        if self.done:
            raise RuntimeError("the episode is over; call reset")
        self.steps += 1
        if action.name == "finish":
            self.done, self.message = True, str(action.arguments[0])
        else:
            self._arrive(transition(self.state, action, self.elements))

    def observation(self, kind: Observation | None = None) -> str:
        """The screen as text, by default of the kind that the environment was made with. Made when asked for."""
        wanted = kind or self._kind
        if wanted == "xml-bounds":
            return compressed_xml(arrange(self.state))
        return _OBSERVERS[wanted](self.screen, self.elements)

    def layout(self) -> Layout:
        """Where everything on the screen lies, in pixels: where a tap lands, and what a picture shows where."""
        return arrange(self.state)

    def screenshot(self, marks: bool = False) -> "Image":
        """The screen as a picture, RGB, 540 x 1170; with `marks`, elements carry their numbers (Set-of-Marks).

        Raises EnvironmentFailure when Pillow is not installed.
        """
        try:
            from zoo.environments.phone.screenshot import paint
        except ImportError as error:
            raise EnvironmentFailure("screenshots need Pillow: pip install 'edgezoo[train]'") from error
        return paint(self.state, marks)

    def success(self) -> bool:
        """Whether the task was finished, nothing is stored but what should be, and a question was answered."""
        return self.done and self.state.data == self.goal.data and self._answered()

    def sub_goals(self) -> tuple[bool, ...]:
        """The app was opened; the place of the task was reached; then each change, or the answer."""
        places = self._places()
        opened = any(screen.partition("/")[0] == places[0][0] for screen, _ in self.visited)
        reached = (opened, places[-1] in self.visited)
        if self.goal.answer is not None:
            return (*reached, self.done and self._answered())
        changed = [key for key, value in self.goal.data.items() if value != self.initial[key]]
        return (*reached, *(self.state.data[key] == self.goal.data[key] for key in changed))

    @property
    def numbers(self) -> range:
        """Of what can be touched."""
        return range(1, len(touchable(self.elements)) + 1)

    @property
    def stored(self) -> Data:
        """Everything that the phone remembers; which screen is open is not in it."""
        return self.state.data

    def expert(self) -> ExpertStep:
        """What leads from here to success."""
        return next_step(self.state, self.goal, self.seen, self.task.instruction)

    def copy(self) -> "PhoneEnvironment":
        """An independent environment in the same state."""
        other = type(self)()  # how it observes and whether it is disturbed is copied with the rest
        other.__dict__.update(self.__dict__)
        return other

    @classmethod
    def draw_tasks(cls, split: Split, count: int, seed: int) -> list[Task]:
        """See `zoo.environments.phone.tasks.draw_tasks`."""
        return draw_tasks(split, count, seed, cls.edition)

    def _arrive(self, state: State) -> None:
        self.state = state
        self.screen, self.elements = visible(state)
        if not state.stack:
            return
        place = state.stack[-1][:2]
        if place not in self.visited:
            self.visited |= {place}
        look = self.goal.look
        if look and not self.seen and place == look.places[-1]:
            self.seen = any(element.label == look.label for element in self.elements)

    def _answered(self) -> bool:
        if self.goal.answer is None:
            return True
        return answers(self.message or "", self.goal.answer, self.task.instruction)

    def _apps(self) -> set[str]:
        """Those that the task leads through."""
        return {want.places[0][0] for want in wants(State(self.initial), self.goal, seen=False)} | (
            {want.places[0][0] for want in wants(State(self.initial), self.goal, seen=True)}
        )

    def _places(self) -> tuple[tuple[str, str], ...]:
        return wants(State(self.initial), self.goal, seen=False)[0].places


class TenAppPhone(PhoneEnvironment):
    """The phone with ten apps and disturbances; nothing else differs."""

    edition = TEN


def answers(message: str, answer: str, question: str) -> bool:
    """Whether a message gives the answer and nothing else but words of the question and fillers.

    Case, punctuation and order of sentences do not matter; a second candidate beside the right one does.

    >>> answers("The battery level is 63%.", "63%", "What is the battery level?")
    True
    >>> answers("63% or 64%", "63%", "What is the battery level?")
    False
    """
    said, right = _words(message), _words(answer)
    for start in range(len(said) - len(right) + 1):
        if said[start : start + len(right)] == right:
            rest = {*said[:start], *said[start + len(right) :]}
            return rest <= (_FILLERS | set(_words(question)) - _VERDICTS) | set(right)
    return False


def _words(text: str) -> list[str]:
    return [word.removesuffix("'s") for word in _WORD.findall(text.casefold())]

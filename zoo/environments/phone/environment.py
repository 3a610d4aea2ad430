"""One episode on the phone: reset, act, and be judged by the state that is left."""

import re

from zoo.actions import Action
from zoo.environments import ExpertStep, Observation, Split, Task
from zoo.environments.phone.expert import next_step, wants
from zoo.environments.phone.machine import observe, observe_tersely, transition, visible
from zoo.environments.phone.state import Data, State
from zoo.environments.phone.tasks import draw_tasks, set_up

__all__ = ["PhoneEnvironment", "answers"]

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

    def __init__(self, observation: Observation = "xml") -> None:
        self._observe = _OBSERVERS[observation]
        self.done = True
        self.steps = 0

    def reset(self, task: Task) -> str:
        """Begin a task on its own phone, at the launcher."""
        data, self.goal = set_up(task)
        self.task: Task = task
        self.initial = data
        self.message: str | None = None
        self.done, self.steps, self.seen = False, 0, False
        self.visited: frozenset[tuple[str, str]] = frozenset()
        self._arrive(State(data))
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

    def observation(self) -> str:
        """The screen as text."""
        return self._observe(self.screen, self.elements)

    def success(self) -> bool:
        """Whether the task was finished, nothing is stored but what should be, and a question was answered."""
        return self.done and self.state.data == self.goal.data and self._answered()

    def sub_goals(self) -> tuple[bool, ...]:
        """The app was opened; the place of the task was reached; then each change, or the answer."""
        places = self._places()
        reached = tuple(place in self.visited for place in (places[0], places[-1]))
        if self.goal.answer is not None:
            return (*reached, self.done and self._answered())
        changed = [key for key, value in self.goal.data.items() if value != self.initial[key]]
        return (*reached, *(self.state.data[key] == self.goal.data[key] for key in changed))

    @property
    def stored(self) -> Data:
        """Everything that the phone remembers; which screen is open is not in it."""
        return self.state.data

    def expert(self) -> ExpertStep:
        """What leads from here to success."""
        return next_step(self.state, self.goal, self.seen, self.task.instruction)

    def copy(self) -> "PhoneEnvironment":
        """An independent environment in the same state."""
        other = PhoneEnvironment()  # its way of observing is copied with the rest
        other.__dict__.update(self.__dict__)
        return other

    @staticmethod
    def draw_tasks(split: Split, count: int, seed: int) -> list[Task]:
        """See `zoo.environments.phone.tasks.draw_tasks`."""
        return draw_tasks(split, count, seed)

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

    def _places(self) -> tuple[tuple[str, str], ...]:
        return wants(State(self.initial), self.goal, seen=False)[0].places


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

"""One visit to the desk: choose a topic, give what the clerk asks for, finish.

The clerk says what is missing and what was wrong with an answer, and asks again; after the third wrong datum the visit
is over. Nothing but the whole case counts as success, so that with the reward `success` alone a visit is worth 0 until
it is complete, while its observations tell all along what it lacks.
"""

from zoo.actions import DEFAULT_FINISH, Action
from zoo.environments import ExpertStep, Observation, Split, Task
from zoo.environments.desk.cases import CHOSEN, FACTS, case_of, draw_tasks
from zoo.environments.line import Line, screen_text
from zoo.environments.phone import answers

__all__ = ["DeskEnvironment"]

_PATIENCE = 3
_CALLED = {"order": "order number", "name": "name", "town": "town", "code": "code"}
_KIND_OF = {value.casefold(): kind for kind, values in FACTS.items() for value in values}
"""No value is of two kinds."""


class DeskEnvironment:
    """The service desk. See `zoo.environments.Environment` for the protocol.

    >>> environment = DeskEnvironment("terse")
    >>> print(environment.reset(draw_tasks("train", 1, seed=0)[0]).splitlines()[1])
    Clerk: How can I help?
    """

    def __init__(self, observation: Observation = "xml") -> None:
        self._form: Observation = observation
        self.done = True
        self.steps = 0

    def reset(self, task: Task) -> str:
        """Begin a visit."""
        self.task, self.case = task, case_of(task)
        self.done, self.steps, self.mistakes = False, 0, 0
        self.message: str | None = None
        self._leave()
        return self._screen()

    def step(self, action: Action) -> str:
        """Act; the next observation. Raises RuntimeError when the visit is over."""
        if self.done:
            raise RuntimeError("the episode is over; call reset")
        self.steps += 1
        match action.name:
            case "finish":
                self.done, self.message = True, str(action.arguments[0])
            case "back" | "home":
                self._leave()
            case "tap":
                self._tap(int(action.arguments[0]))
            case "text":
                self._say(str(action.arguments[0]))
        return self._screen()

    def success(self) -> bool:
        """Whether the case was completed and the visit finished, with the right answer where there is a question."""
        return self.message is not None and self._complete and self._answered()

    def sub_goals(self) -> tuple[bool, ...]:
        """The topic; then each datum; then the answer, for a question."""
        right = self.topic == self.case.topic
        given = (right and place < self.given for place in range(len(self.case.wanted)))
        asked = () if self.case.answer is None else (self.success(),)
        return (right, *given, *asked)

    def expert(self) -> ExpertStep:
        """What leads from here to success."""
        if self.topic is None:
            return _explained(Action("tap", (self.case.topics.index(self.case.topic) + 1,)), "topic", "no topic yet")
        if self.topic != self.case.topic:
            return _explained(Action("back"), "wrong topic", f"in {self.topic}")
        if self._asked is None:
            return _explained(Action("finish", (self.case.answer or DEFAULT_FINISH,)), "all given", "done")
        right = self.case.facts[self._asked]
        if self._asked in CHOSEN:
            return _explained(Action("tap", (self._choices.index(right) + 1,)), self._asked, f"{self._asked} wanted")
        return _explained(Action("text", (right,)), self._asked, f"{self._asked} wanted")

    @property
    def numbers(self) -> range:
        """Of the choices."""
        return range(1, len(self._choices) + 1)

    @property
    def stored(self) -> tuple[int, int]:
        """What the clerk has noted; a topic can be left again, and is only looked at."""
        return self.given, self.mistakes

    def copy(self) -> "DeskEnvironment":
        """An independent environment in the same state."""
        other = type(self)(self._form)
        other.__dict__.update(self.__dict__)
        return other

    @staticmethod
    def draw_tasks(split: Split, count: int, seed: int) -> list[Task]:
        """See `zoo.environments.desk.cases.draw_tasks`."""
        return draw_tasks(split, count, seed)

    @property
    def _asked(self) -> str | None:
        """The kind of datum that the clerk waits for."""
        return self.case.wanted[self.given] if self.topic and self.given < len(self.case.wanted) else None

    @property
    def _complete(self) -> bool:
        return self.topic == self.case.topic and self.given == len(self.case.wanted)

    @property
    def _choices(self) -> tuple[str, ...]:
        return self.case.topics if self.topic is None else self.case.offers.get(self._asked or "", ())

    def _answered(self) -> bool:
        return self.case.answer is None or answers(self.message or "", self.case.answer, self.task.instruction)

    def _leave(self) -> None:
        """Back to the topics; what was given is forgotten."""
        self.topic: str | None = None
        self.given = 0
        self.trouble = ""

    def _tap(self, number: int) -> None:
        if number > len(self._choices):
            return
        chosen = self._choices[number - 1]
        if self.topic is None:
            self.topic = chosen
        else:
            self._give(chosen)

    def _say(self, said: str) -> None:
        """Words where there is something to choose are not heard."""
        if self._asked is not None and self._asked not in CHOSEN:
            self._give(said)

    def _give(self, value: str) -> None:
        assert self._asked is not None
        said = value.strip(" .").casefold()
        if said == self.case.facts[self._asked].casefold():
            self.given, self.trouble = self.given + 1, ""
            return
        self.mistakes += 1
        self.done = self.mistakes == _PATIENCE
        kind = _KIND_OF.get(said)
        self.trouble = "I do not know that."
        if kind is not None:
            self.trouble = f"I find no {value}." if kind == self._asked else f"That is a {_called(kind)}."

    def _screen(self) -> str:
        title = "Desk" if self.topic is None else f"Desk: {self.topic}"
        lines = [Line(0, "", "", "", f"Clerk: {self._said()}")]
        lines += [Line(number, "Button", "click", "", text) for number, text in enumerate(self._choices, 1)]
        return screen_text(title, lines, self._form)

    def _said(self) -> str:
        if self.done:
            return "Goodbye."
        if self.topic is None:
            return "How can I help?"
        if self._asked is None:
            return self.case.tells if self._complete else "All is done."
        question = f"Which {self._asked}?" if self._asked in CHOSEN else f"I need the {_called(self._asked)}."
        return f"{self.trouble} {question}".strip()


def _called(kind: str) -> str:
    return _CALLED.get(kind, kind)


def _explained(action: Action, why: str, state: str) -> ExpertStep:
    said = "the visit can end" if action.name == "finish" else f"the clerk asks for the {why}"
    if action.name == "back":
        said = "this topic is not the one of the task"
    return ExpertStep(
        action,
        why,
        state,
        f"On the desk {said}.",
        f"Current State: {state}.\nRequired Change: {why}.\nAction Need: {action.name}.",
    )

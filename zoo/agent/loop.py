"""The agent's loop: prompt, answer, act, until an episode ends. One loop for evaluation, rollouts and the terminal.

Covered: batches of episodes side by side, the memory of the recipe, the ends of OpenPhone's protocol, a time limit. A
bad answer is data: it costs a step and is counted; so is a world that breaks down, which ends its own episode alone.
An agent with eyes is shown the picture of the screen that it is on, never those of past ones. That answers are kept to
a grammar is the business of whoever generates them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal, Protocol

from zoo.actions import Action, write
from zoo.dialects import dialect_of
from zoo.environments import Closing, Environment, Task
from zoo.environments.pictures import nearly_same, screenshot_of
from zoo.errors import EpisodeLost
from zoo.memory import CountTokens, about_tokens, noted
from zoo.prompt import Chat, messages, with_picture
from zoo.records import Progress, no_progress
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import AgentSpec

__all__ = [
    "REPEATS",
    "Answerer",
    "Apply",
    "End",
    "Episode",
    "Generate",
    "Situation",
    "Step",
    "chat_of",
    "open_environment",
    "play",
    "run_episodes",
]

REPEATS = 5
"""Identical actions in a row after which an episode ends (OpenPhone's recorder); an unreadable answer is one action."""

Generate = Callable[[Sequence[Chat]], Sequence[str]]
"""A model: a batch of chats -> the answers, in the same order."""
End = Literal["finish", "world", "rounds", "repeat", "time", "error"]
"""`finish`: the agent said so. `world`: the world ended by itself. `error`: the world broke down."""


class Apply(Protocol):
    """Calls a function on every item, results in order: `map`, or that of a pool of threads for worlds that wait."""

    def __call__(self, function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterable[Any]: ...


@dataclass(frozen=True)
class Step:
    """One round of an episode."""

    observation: str
    answer: str
    action: Action | None
    """None when the answer held no readable call."""
    seconds: float
    """Of generating: the time of its batch, divided by the batch."""
    changed: bool | None = None
    """Whether its screen was another one than that of the step before, by their pictures; None for the first step, and
    for an agent without eyes."""


@dataclass(frozen=True)
class Episode:
    """What one agent did on one task."""

    task: Task
    steps: tuple[Step, ...]
    ended: End
    success: bool
    sub_goals: tuple[bool, ...]
    problem: str = ""
    """What broke down, for an episode that ended by `error`."""


@dataclass
class Situation:
    """An episode under way: what whoever answers may look at."""

    task: Task
    environment: Environment
    observation: str
    history: list[str] = field(default_factory=list)
    """The notes of its memory (`zoo.memory.noted`), oldest first."""
    steps: list[Step] = field(default_factory=list)
    picture: Any = None
    """The screen as the agent sees it, a `PIL.Image.Image`; None for an agent without eyes."""
    changed: bool | None = None
    """Of the step to come, see `Step`."""
    started: float = 0.0
    problem: str = ""


Answerer = Callable[[Sequence[Situation]], Sequence[str]]
"""Whoever answers: a model behind its prompt, the expert, chance."""


def open_environment(spec: AgentSpec) -> Environment:
    """A new environment of the world that the agent acts in."""
    environment: Environment = load(ENVIRONMENTS[spec.world])(spec.observation)
    return environment


def chat_of(spec: AgentSpec, situation: Situation, count: CountTokens = about_tokens) -> Chat:
    """What a model is asked in a situation."""
    words = messages(spec, situation.task.instruction, situation.history, situation.observation, count)
    return words if situation.picture is None else with_picture(words, situation.picture)


def run_episodes(
    spec: AgentSpec, tasks: Sequence[Task], generate: Generate, *, batch: int = 1, progress: Progress = no_progress
) -> list[Episode]:
    """Let a model act on every task; the episodes in the order of the tasks."""

    def answer(situations: Sequence[Situation]) -> Sequence[str]:
        return generate([chat_of(spec, one) for one in situations])

    return play(spec, tasks, answer, batch=batch, progress=progress)


def _unwatched(number: int, episode: Episode) -> None:
    """Whoever does not wait for single episodes."""


def play(
    spec: AgentSpec,
    tasks: Sequence[Task],
    answer: Answerer,
    *,
    batch: int = 1,
    progress: Progress = no_progress,
    clock: Callable[[], float] = perf_counter,
    apply: Apply = map,
    on_end: Callable[[int, Episode], None] = _unwatched,
) -> list[Episode]:
    """Let anybody act on every task, `batch` episodes side by side; the episodes in the order of the tasks.

    An episode that ends makes room for the next task at once, so that the batch stays full until the last ones; its
    environment is used again unless it broke down. `on_end` is told the number of a task and its episode as it ends.
    """
    floor = _Floor(spec, iter(enumerate(tasks)), batch, clock, apply, on_end)
    try:
        while floor.fill():
            floor.act(answer)
            successes = sum(episode.success for episode in floor.ended.values())
            progress(len(floor.ended), len(tasks), successes=successes)
    finally:
        floor.close()
    return [floor.ended[number] for number in sorted(floor.ended)]


@dataclass
class _Floor:
    """The episodes under way, those that ended, and the environments that wait for the next."""

    spec: AgentSpec
    waiting: Iterator[tuple[int, Task]]
    batch: int
    clock: Callable[[], float]
    apply: Apply
    on_end: Callable[[int, Episode], None]
    live: dict[int, Situation] = field(default_factory=dict)
    ended: dict[int, Episode] = field(default_factory=dict)
    idle: list[Environment] = field(default_factory=list)

    def fill(self) -> bool:
        """Begin tasks until the batch is full; whether there is anything to act in. One that cannot begin has ended."""
        while chosen := list(zip(range(self.batch - len(self.live)), self.waiting, strict=False)):
            tasks = [task for _, (_, task) in chosen]
            begun = self.apply(self._begin, [(self._environment(), task) for task in tasks])
            self.live |= {number: one for (_, (number, _)), one in zip(chosen, begun, strict=True)}
            self._settle()
        return bool(self.live)

    def act(self, answer: Answerer) -> None:
        """One round of every live episode."""
        situations = list(self.live.values())
        start = self.clock()
        answers = answer(situations)
        seconds = (self.clock() - start) / len(situations)
        list(self.apply(self._advance, [(*pair, seconds) for pair in zip(situations, answers, strict=True)]))
        self._settle()

    def close(self) -> None:
        """Give back what the environments hold."""
        for environment in [*self.idle, *(situation.environment for situation in self.live.values())]:
            _close(environment)

    def _environment(self) -> Environment:
        return self.idle.pop() if self.idle else open_environment(self.spec)

    def _begin(self, place: tuple[Environment, Task]) -> Situation:
        environment, task = place
        situation = Situation(task, environment, "", started=self.clock())
        try:
            situation.observation = environment.reset(task)
            situation.task = environment.task
            self._look(situation)
        except EpisodeLost as error:
            situation.problem = str(error)
        return situation

    def _advance(self, answered: tuple[Situation, str, float]) -> None:
        situation, text, seconds = answered
        answer = dialect_of(self.spec.world).read(text)
        situation.steps.append(Step(situation.observation, text, answer.action, seconds, situation.changed))
        if note := noted(self.spec, answer.assessment, write(answer.action) if answer.action else None):
            situation.history.append(note)
        if answer.action is None:
            situation.changed = None if situation.picture is None else False
            return
        try:
            situation.observation = situation.environment.step(answer.action)
            self._look(situation)
        except EpisodeLost as error:
            situation.problem = str(error)

    def _look(self, situation: Situation) -> None:
        """Draw the screen for an agent with eyes that has another step to make."""
        if self.spec.pictures == "none" or situation.environment.done:
            return
        before, situation.picture = situation.picture, screenshot_of(situation.environment, self.spec.pictures)
        situation.changed = None if before is None else not nearly_same(before, situation.picture)

    def _settle(self) -> None:
        """Take the episodes that are at their end off the floor."""
        for number, situation in list(self.live.items()):
            if end := _end(self.spec, situation, self.clock):
                self.ended[number] = _episode(self.live.pop(number), end)
                if self.ended[number].ended == "error":
                    _close(situation.environment)
                else:
                    self.idle.append(situation.environment)
                self.on_end(number, self.ended[number])


def _end(spec: AgentSpec, situation: Situation, clock: Callable[[], float]) -> End | None:
    if situation.problem:
        return "error"
    last = [step.action for step in situation.steps[-REPEATS:]]
    if situation.environment.done:
        return "finish" if last and last[-1] and last[-1].name == "finish" else "world"
    if len(last) == REPEATS and all(action == last[0] for action in last):
        return "repeat"
    if len(situation.steps) >= spec.rounds:
        return "rounds"
    limit = spec.episode_seconds
    return "time" if limit is not None and clock() - situation.started >= limit else None


def _episode(situation: Situation, end: End) -> Episode:
    task, steps, environment = situation.task, tuple(situation.steps), situation.environment
    if not situation.problem:
        try:
            return Episode(task, steps, end, environment.success(), environment.sub_goals())
        except EpisodeLost as error:  # a device is asked for its state, and may be gone by now
            situation.problem = str(error)
    return Episode(task, steps, "error", False, (), situation.problem)


def _close(environment: Environment) -> None:
    if isinstance(environment, Closing):
        environment.close()

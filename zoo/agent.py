"""The agent's loop: prompt, answer, act, until an episode ends. One loop for evaluation, rollouts and the terminal.

Covered: batches of episodes side by side, memory of past state assessments, the ends of OpenPhone's protocol. A bad
answer is data: it costs a step and is counted. Not covered: images, time limits, answers that are constrained.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import Literal

from zoo.actions import Action, read_answer, write_answer
from zoo.environments import Environment, Task
from zoo.prompt import Chat, messages
from zoo.records import Progress, no_progress
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import AgentSpec

__all__ = [
    "REPEATS",
    "Answerer",
    "Chat",
    "End",
    "Episode",
    "Generate",
    "Situation",
    "Step",
    "expert_answers",
    "messages",
    "open_environment",
    "play",
    "random_answers",
    "run_episodes",
]

REPEATS = 5
"""Identical actions in a row after which an episode ends (OpenPhone's recorder); an unreadable answer is one action."""

Generate = Callable[[Sequence[Chat]], Sequence[str]]
"""A model: a batch of chats -> the answers, in the same order."""
End = Literal["finish", "rounds", "repeat"]


@dataclass(frozen=True)
class Step:
    """One round of an episode."""

    observation: str
    answer: str
    action: Action | None
    """None when the answer held no readable call."""
    seconds: float
    """Of generating: the time of its batch, divided by the batch."""


@dataclass(frozen=True)
class Episode:
    """What one agent did on one task."""

    task: Task
    steps: tuple[Step, ...]
    ended: End
    success: bool
    sub_goals: tuple[bool, ...]


@dataclass
class Situation:
    """An episode under way: what whoever answers may look at."""

    task: Task
    environment: Environment
    observation: str
    history: list[str] = field(default_factory=list)
    """The agent's state assessments, oldest first."""
    steps: list[Step] = field(default_factory=list)


Answerer = Callable[[Sequence[Situation]], Sequence[str]]
"""Whoever answers: a model behind its prompt, the expert, chance."""


def open_environment(spec: AgentSpec) -> Environment:
    """A new environment of the world that the agent acts in."""
    environment: Environment = load(ENVIRONMENTS[spec.world])(spec.observation)
    return environment


def run_episodes(
    spec: AgentSpec, tasks: Sequence[Task], generate: Generate, *, batch: int = 1, progress: Progress = no_progress
) -> list[Episode]:
    """Let a model act on every task; the episodes in the order of the tasks."""

    def answer(situations: Sequence[Situation]) -> Sequence[str]:
        return generate([messages(spec, one.task.instruction, one.history, one.observation) for one in situations])

    return play(spec, tasks, answer, batch=batch, progress=progress)


def play(
    spec: AgentSpec,
    tasks: Sequence[Task],
    answer: Answerer,
    *,
    batch: int = 1,
    progress: Progress = no_progress,
    clock: Callable[[], float] = perf_counter,
) -> list[Episode]:
    """Let anybody act on every task, `batch` episodes side by side; the episodes in the order of the tasks.

    An episode that ends makes room for the next task at once, so that the batch stays full until the last ones.
    """
    waiting = iter(enumerate(tasks))
    live = dict(_begin(spec, waiting, batch))
    ended: dict[int, Episode] = {}
    while live:
        start = clock()
        answers = answer(list(live.values()))
        seconds = (clock() - start) / len(live)
        for (number, situation), text in zip(list(live.items()), answers, strict=True):
            _advance(situation, text, seconds)
            if end := _end(spec, situation):
                ended[number] = _episode(live.pop(number), end)
        live |= _begin(spec, waiting, batch - len(live))
        progress(len(ended), len(tasks), successes=sum(episode.success for episode in ended.values()))
    return [ended[number] for number in sorted(ended)]


def expert_answers(spec: AgentSpec) -> Answerer:
    """The world's expert as an agent: the upper bound of every rate."""
    return lambda situations: [one.environment.expert().answer(spec.style) for one in situations]


_NAMES = ("tap",) * 14 + ("text",) * 2 + ("swipe", "long_press", "back", "home", "finish")
_NUMBER = re.compile(r"\[(\d+)\]")


def random_answers(seed: int) -> Answerer:
    """Chance as an agent: a random call on a random element, with random words of the instruction; mostly taps."""

    def answer(situations: Sequence[Situation]) -> Sequence[str]:
        return [write_answer("", "", _random_action(seed, one)) for one in situations]

    return answer


def _random_action(seed: int, situation: Situation) -> Action:
    rng = Random(f"{seed} {situation.task.id} {len(situation.steps)}")
    numbers = [int(number) for number in _NUMBER.findall(situation.observation)] or [1]
    words = situation.task.instruction.strip(".?").split()
    start = rng.randrange(len(words))
    said = " ".join(words[start : start + rng.randint(1, 3)])
    match rng.choice(_NAMES):
        case "tap" | "long_press" as name:
            return Action(name, (rng.choice(numbers),))
        case "swipe":
            return Action("swipe", (rng.choice(numbers), rng.choice(("up", "down")), "long"))
        case "text" | "finish" as name:
            return Action(name, (said,))
        case name:
            return Action(name)


def _begin(spec: AgentSpec, waiting: Iterator[tuple[int, Task]], room: int) -> Iterator[tuple[int, Situation]]:
    for _, (number, task) in zip(range(room), waiting, strict=False):
        environment = open_environment(spec)
        yield number, Situation(task, environment, environment.reset(task))


def _advance(situation: Situation, text: str, seconds: float) -> None:
    answer = read_answer(text)
    situation.steps.append(Step(situation.observation, text, answer.action, seconds))
    if answer.assessment:
        situation.history.append(answer.assessment)
    if answer.action:
        situation.observation = situation.environment.step(answer.action)


def _end(spec: AgentSpec, situation: Situation) -> End | None:
    if situation.environment.done:
        return "finish"
    last = [step.action for step in situation.steps[-REPEATS:]]
    if len(last) == REPEATS and all(action == last[0] for action in last):
        return "repeat"
    return "rounds" if len(situation.steps) >= spec.rounds else None


def _episode(situation: Situation, end: End) -> Episode:
    environment = situation.environment
    return Episode(situation.task, tuple(situation.steps), end, environment.success(), environment.sub_goals())

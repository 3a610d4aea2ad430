"""Episodes that run while a visitor watches: each step as it comes, until the end, a stop, or the time is up."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from answerers import Answerers, EndpointChoice
from course import Over
from model_process import Said
from shelf import Loading
from visit import Cost, Visit

from zoo.errors import ZooError
from zoo.space import Course

__all__ = ["Moment", "act", "replay"]

_LOG = logging.getLogger("space.episodes")
_SHOWN_SECONDS = 0.45
"""How long an action stays on the screen before what it did is shown."""
_REPLAY_SECONDS = 0.75


@dataclass(frozen=True)
class Moment:
    """What there is to see now."""

    step: int
    """Whose screen: that before this step, with what the step does on it."""
    doing: str = ""
    """What is waited for; empty when nobody acts any more."""
    share: float | None = None
    """Of what is waited for."""
    problem: str = ""
    """What went wrong, in words for visitors."""


def act(
    visit: Visit, answerers: Answerers, name: str, endpoint: EndpointChoice, pause_seconds: float = _SHOWN_SECONDS
) -> Iterator[Moment]:
    """Let somebody go on with an episode from where it is.

    It ends by itself, by `visit.stop`, when its seconds of computing are used up, or with a problem.
    """
    visit.running, visit.name = True, name
    try:
        yield from _steps(visit, answerers, name, endpoint, pause_seconds)
    except ZooError as error:
        yield Moment(len(visit.answers), problem=str(error))
    finally:
        visit.running = False
    yield Moment(len(visit.answers))


def _steps(
    visit: Visit, answerers: Answerers, name: str, endpoint: EndpointChoice, pause_seconds: float
) -> Iterator[Moment]:
    limit = answerers.settings.episode_seconds
    while not isinstance(now := visit.now, Over):
        left = limit - sum(cost.seconds for cost in visit.costs)
        if visit.stop.is_set() or left <= 0:
            visit.ended = "stopped" if visit.stop.is_set() else "time"
            return
        at = len(visit.answers)
        yield Moment(at, f"{name} looks at the screen")
        said: Said | None = None
        for event in answerers.ask(name, now, endpoint, seconds=left, stopped=visit.stop.is_set):
            if isinstance(event, Loading):
                yield Moment(at, event.text, event.done)
            else:
                said = event
        if said is None or (said.stopped and visit.stop.is_set()):
            visit.ended = "stopped"
            return
        visit.give(said.text, Cost("agent", said.seconds, said.tokens, said.first_token_seconds))
        yield Moment(at, "acts")
        time.sleep(pause_seconds)


def replay(visit: Visit, course: Course, pause_seconds: float = _REPLAY_SECONDS) -> Iterator[Moment]:
    """Play a recorded episode; needs no model. A stop leaves it where it is."""
    visit.begin(course.task)
    visit.running, visit.name = True, f"recorded: {course.by}"
    try:
        for at, (answer, seconds) in enumerate(zip(course.answers, course.seconds, strict=True)):
            if visit.stop.is_set():
                visit.ended = "stopped"
                break
            visit.give(answer, Cost("recorded", seconds))
            yield Moment(at, "recorded in the evaluation, played again")
            time.sleep(pause_seconds)
    finally:
        visit.running = False
    yield Moment(len(visit.answers))

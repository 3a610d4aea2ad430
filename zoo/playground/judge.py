"""A model that reads an episode and says whether the task was done: an opinion beside the state check, never instead.

OpenPhone judges AndroidLab this way (with Gemini 2.5 Flash); where the world can be checked, the check decides, and how
often the two agree is what the opinion is worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.actions import read_answer
from zoo.agent import Chat
from zoo.answering.endpoint import Endpoint
from zoo.playground.episodes import EpisodeRecord

__all__ = ["Judge", "question"]

_SYSTEM = (
    "You judge whether an agent completed a task on a device. You are given the task, its steps and the last screens. "
    "Answer with one word on the first line, SUCCESS or FAILURE, and one sentence of reason on the second."
)
_LAST_SCREENS = 3
_ANSWER_TOKENS = 200
_WORDS = {"SUCCESS": True, "FAILURE": False}


@dataclass(frozen=True)
class Judge:
    """An endpoint that judges."""

    endpoint: Endpoint

    def opinion(self, record: EpisodeRecord) -> dict[str, Any]:
        """`verdict` (None when the answer holds neither word, or both) and the whole `text`."""
        text = self.endpoint.complete(question(record), _ANSWER_TOKENS).text
        first = {word.strip(".,:;!?*`#\"'").upper() for word in text.strip().split("\n", 1)[0].split()}
        said = [verdict for word, verdict in _WORDS.items() if word in first]
        return {"verdict": said[0] if len(said) == 1 else None, "text": text}


def question(record: EpisodeRecord) -> Chat:
    """What the judge is asked: the task, every call with its assessment, the last three screens. The state check's
    result is not in it."""
    calls = "\n".join(f"{at}. {_step(step.answer, step.action)}" for at, step in enumerate(record.steps, start=1))
    screens = "\n\n".join(_screens([step.observation for step in record.steps]))
    user = f"Task: {record.instruction}\n\nSteps:\n{calls or 'none'}\n\nLast screens:\n{screens}"
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": user}]


def _step(answer: str, action: str | None) -> str:
    assessment = read_answer(answer).assessment
    return f"{action or 'no readable call'}" + (f" ({' '.join(assessment.split())})" if assessment else "")


def _screens(observations: Sequence[str]) -> list[str]:
    first = max(0, len(observations) - _LAST_SCREENS)
    return [f"Before step {first + at}:\n{text}" for at, text in enumerate(observations[first:], start=1)]

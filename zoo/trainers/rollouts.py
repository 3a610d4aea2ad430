"""Whole episodes of a policy in the agent's world, with the tokens of every answer, ready to be learned from.

The loop is the agent's own (`zoo.agent.play`), so that prompt, memory, parser and ends are those of evaluation. Because
it bounds what an agent remembers, every step's prompt is written anew, and a step is one sample: its prompt, its
answer. TRL's protocol for environments grows one chat instead, in which a step would be trained on a prompt that the
agent is never shown; for that reason it is not used. Not covered: screenshots.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from zoo.agent import Chat, Episode, Situation, chat_of, play
from zoo.answering import Numbers
from zoo.environments import Environment, Task
from zoo.errors import EpisodeLost
from zoo.schema import AgentSpec
from zoo.trainers.advantages import Attempt, Turn

__all__ = ["Answered", "Rollout", "Sample", "attempt", "columns", "roll_out"]


@dataclass(frozen=True)
class Answered:
    """One answer of the policy. `completion_ids` is empty when the prompt left no room for one."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    text: str
    log_probabilities: tuple[float, ...] | None = None
    """Of the tokens, as whoever sampled them saw them; None when it was the policy itself."""
    allowed: tuple[bytes, ...] | None = None
    """Of the tokens, a bit for each that might have been said in its place (`zoo.serving.token_masks`); None: any."""


Sample = Callable[[Sequence[Chat], Numbers | None], Sequence[Answered]]
"""The policy: a batch of chats -> an answer to each. A constrained one is told the numbers on each screen."""


@dataclass(frozen=True)
class Rollout:
    """An episode and what its steps were made of."""

    episode: Episode
    answers: tuple[Answered, ...]
    reached: tuple[int, ...]
    """How many sub-goals were reached before each step."""


class _Said(str):
    """What the policy said, with what it was made of: the episode keeps it as the step's answer."""

    answered: Answered
    reached: int


def roll_out(
    spec: AgentSpec, tasks: Sequence[Task], sample: Sample, *, batch: int | None = None, workers: int = 1
) -> list[Rollout]:
    """Let the policy act on every task, `batch` episodes side by side; the rollouts in the order of the tasks."""

    def answer(situations: Sequence[Situation]) -> list[str]:
        numbers = [one.environment.numbers for one in situations] if spec.constrained else None
        answers = sample([chat_of(spec, one) for one in situations], numbers)
        return [_said(one, situation) for one, situation in zip(answers, situations, strict=True)]

    side_by_side = batch or len(tasks)
    if workers == 1:
        episodes = play(spec, tasks, answer, batch=side_by_side)
    else:
        with ThreadPoolExecutor(workers) as pool:
            episodes = play(spec, tasks, answer, batch=side_by_side, apply=pool.map)
    return [_rollout(episode) for episode in episodes]


def attempt(rollout: Rollout, score: float | None) -> Attempt:
    """A rollout as the rules of `zoo.trainers.advantages` see it."""
    episode = rollout.episode
    if episode.ended == "error":
        return Attempt(None, False, "error", _turns(rollout))
    cut = any(not answer.completion_ids for answer in rollout.answers)
    return Attempt(score, episode.success, "length" if cut else episode.ended, _turns(rollout))


def columns(rollouts: Iterable[Rollout]) -> Mapping[str, list[Any]]:
    """What rewards of episodes are called with."""
    chosen = list(rollouts)
    return {
        "completions": [
            [{"role": "assistant", "content": str(step.answer)} for step in one.episode.steps] for one in chosen
        ],
        "readable": [[step.action is not None for step in one.episode.steps] for one in chosen],
        "completion_ids": [[list(answer.completion_ids) for answer in one.answers] for one in chosen],
        "success": [one.episode.success for one in chosen],
        "sub_goals": [one.episode.sub_goals for one in chosen],
        "ended": [one.episode.ended for one in chosen],
    }


def _said(answered: Answered, situation: Situation) -> _Said:
    said = _Said(answered.text)
    said.answered, said.reached = answered, _reached(situation.environment)
    return said


def _reached(environment: Environment) -> int:
    """A world that breaks down here says so again when it is to step, and its episode ends there."""
    try:
        return sum(environment.sub_goals())
    except EpisodeLost:
        return 0


def _rollout(episode: Episode) -> Rollout:
    said = [step.answer for step in episode.steps if isinstance(step.answer, _Said)]
    return Rollout(episode, tuple(one.answered for one in said), tuple(one.reached for one in said))


def _turns(rollout: Rollout) -> tuple[Turn, ...]:
    steps, turns, said = rollout.episode.steps, [], 0
    after = [*rollout.reached[1:], sum(rollout.episode.sub_goals)]
    for number, step in enumerate(steps):
        said = said + 1 if number and steps[number - 1].answer == step.answer else 1
        turns.append(Turn(step.action is not None, said, after[number] > rollout.reached[number]))
    return tuple(turns)

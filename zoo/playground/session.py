"""One evaluation under way: tasks that are left are played, and every episode is written down as it ends.

What an episode's record holds, beside what the agent did: what each step cost a model, how many steps the expert needs,
and whether each screen was another one than that before, by their pictures where there are any.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import fingerprint
from zoo.actions import write
from zoo.agent import Answerer, Episode, Situation, expert_answers, open_environment, play
from zoo.answering.models import ModelAgent
from zoo.environments import Pictured, Split, Task, choosing
from zoo.environments.pictures import nearly_same, screenshot_of
from zoo.errors import EpisodeLost
from zoo.playground.episodes import EpisodeLog, EpisodeRecord, StepRecord
from zoo.playground.judge import Judge
from zoo.records import Progress, no_progress
from zoo.schema import AgentSpec

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Session", "choose_tasks", "recorded"]

_FREE_EXPERTS = frozenset({"phone", "phone-ten", "desk"})
"""Worlds where asking the expert for its whole way costs no browser and no device."""
_WAITING = frozenset({"miniwob", "android"})
"""Worlds whose steps wait for another program, so that threads help."""
_NAME_LENGTH = 70


def choose_tasks(spec: AgentSpec, split: Split, patterns: Sequence[str], count: int, seed: int) -> list[Task]:
    """So many tasks of a split of the agent's world. See `zoo.environments.choosing.choose_tasks`."""
    return choosing.choose_tasks(open_environment(spec), split, patterns, count, seed, "--tasks")


@dataclass(frozen=True)
class Session:
    """Who acts, on what, how many at a time, and where it is written."""

    spec: AgentSpec
    tasks: Sequence[Task]
    answer: Answerer
    log: EpisodeLog
    batch: int = 8
    judge: Judge | None = None
    pictures: bool = False
    """Whether each screen is also kept as a PNG, where the world can draw it."""

    def run(self, progress: Progress = no_progress) -> list[EpisodeRecord]:
        """Play the tasks that have no episode yet; all episodes, in the order of the tasks.

        Raises DataError when another process writes the log.
        """
        with self.log.held():
            return self._run(progress)

    def _run(self, progress: Progress) -> list[EpisodeRecord]:
        left = [number for number in range(len(self.tasks)) if number not in self.log.finished]
        done = len(self.tasks) - len(left)
        pictures = _Pictures(self.spec, self.log.folder) if self.pictures else None

        def on_end(at: int, episode: Episode) -> None:
            record = recorded(self.spec, left[at], episode, self.answer)
            record = pictures.added(record) if pictures else record
            self.log.append(replace(record, judge=self.judge.opinion(record)) if self.judge else record)

        def told(step: int, total: int | None = None, **fields: float | str) -> None:
            won = sum(record.success for record in self.log.finished.values())
            progress(done + step, len(self.tasks), successes=won)

        threads = self.batch if self.spec.world in _WAITING else 1
        with ThreadPoolExecutor(threads) as pool:
            play(
                self.spec,
                [self.tasks[number] for number in left],
                pictures.seen_by(self.answer) if pictures else self.answer,
                batch=self.batch,
                progress=told,
                apply=pool.map if threads > 1 else map,
                on_end=on_end,
            )
        return self.log.records()


def recorded(spec: AgentSpec, number: int, episode: Episode, answer: Answerer) -> EpisodeRecord:
    """What is written down of an episode; for a model, with what each of its steps cost."""
    spent = answer.spent.pop(episode.task.id, []) if isinstance(answer, ModelAgent) else []
    unknown: list[tuple[int | None, int | None]] = [(None, None)] * len(episode.steps)
    costs = [(one.tokens, one.prompt_tokens) for one in spent] or unknown
    steps = [
        StepRecord(
            observation=step.observation,
            answer=step.answer,
            action=write(step.action) if step.action else None,
            seconds=step.seconds,
            tokens=tokens,
            prompt_tokens=prompt_tokens,
            changed=step.changed,
        )
        for step, (tokens, prompt_tokens) in zip(episode.steps, costs, strict=True)
    ]
    task = episode.task
    return EpisodeRecord(
        number=number,
        task=task.id,
        template=task.template,
        kind=task.kind,
        app=task.app,
        instruction=task.instruction,
        success=episode.success,
        sub_goals=episode.sub_goals,
        ended=episode.ended,
        problem=episode.problem,
        expert_steps=_expert_steps(spec, task),
        steps=tuple(steps),
    )


def _expert_steps(spec: AgentSpec, task: Task) -> int | None:
    if spec.world not in _FREE_EXPERTS:
        return None
    patient = spec.model_copy(update={"rounds": 100, "episode_seconds": None, "pictures": "none"})
    (episode,) = play(patient, [task], expert_answers(patient))
    return len(episode.steps) if episode.success else None


class _Pictures:
    """The screens of live episodes as PNG files below the log's folder: what the agent sees, or else with marks."""

    def __init__(self, spec: AgentSpec, folder: Path) -> None:
        self.spec, self.folder = spec, folder
        self.drawn: dict[str, list[tuple[str, bool | None]]] = {}
        self.last: dict[str, Image] = {}

    def seen_by(self, answer: Answerer) -> Answerer:
        """The same agent, whose screens are drawn as it looks at them."""

        def look(situations: Sequence[Situation]) -> Sequence[str]:
            for situation in situations:
                if isinstance(situation.environment, Pictured):
                    self._keep(situation)
            return answer(situations)

        return look

    def added(self, record: EpisodeRecord) -> EpisodeRecord:
        """An episode's record with its pictures, step by step."""
        self.last.pop(record.task, None)
        pairs = zip(record.steps, self.drawn.pop(record.task, []), strict=False)
        steps = tuple(replace(step, picture=name, changed=changed) for step, (name, changed) in pairs)
        return replace(record, steps=(*steps, *record.steps[len(steps) :]))

    def _keep(self, situation: Situation) -> None:
        task, kind = situation.task.id, self.spec.pictures
        try:
            image = situation.picture or screenshot_of(situation.environment, "marks" if kind == "none" else kind)
        except EpisodeLost:
            return  # the step that is to come ends the episode, with the reason
        before, self.last[task] = self.last.get(task), image
        kept = self.drawn.setdefault(task, [])
        # The end of a task's name tells two of one template apart, and is cut off: hence the digest.
        readable = "".join(letter if letter.isalnum() else "-" for letter in task)[:_NAME_LENGTH]
        name = f"{readable}-{fingerprint.of_data(task)[:8]}"
        file = self.folder / "pictures" / name / f"{len(kept) + 1:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(file)
        changed = None if before is None else not nearly_same(before, image)
        kept.append((str(file.relative_to(self.folder)), changed))

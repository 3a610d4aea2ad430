"""One evaluation under way: tasks that are left are played, and every episode is written down as it ends."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from zoo.actions import write
from zoo.agent import Answerer, Episode, Situation, expert_answers, open_environment, play
from zoo.answering.models import ModelAgent
from zoo.environments import Environment, Pictured, Split, Task
from zoo.errors import DataError
from zoo.playground.episodes import EpisodeLog, EpisodeRecord, StepRecord
from zoo.playground.judge import Judge
from zoo.records import Progress, no_progress
from zoo.schema import AgentSpec

__all__ = ["Session", "choose_tasks"]

_WIDEST_DRAW = 1 << 14
_FREE_EXPERTS = frozenset({"phone"})
"""Worlds where asking the expert for its whole way costs no browser and no device."""
_WAITING = frozenset({"miniwob", "android"})
"""Worlds whose steps wait for another program, so that threads help."""


def choose_tasks(spec: AgentSpec, split: Split, patterns: Sequence[str], count: int, seed: int) -> list[Task]:
    """So many tasks of a split; with `patterns` (`clock.*`, `click-*`), only of templates that fit one.

    Raises DataError when the world does not have so many.
    """
    world = open_environment(spec)
    wanted = count
    while True:
        try:
            drawn = list(world.draw_tasks(split, wanted, seed))
        except ValueError as error:
            known = sorted({task.template for task in world.draw_tasks(split, count, seed)}) if wanted > count else []
            what = f"--tasks {' '.join(patterns)}: " if patterns else ""
            names = f"; templates: {', '.join(known)}" if known else ""
            raise DataError(f"{what}{count} episodes are too many for {spec.world}/{split}: {error}{names}") from error
        fitting = [task for task in drawn if not patterns or any(fnmatchcase(task.template, p) for p in patterns)]
        if len(fitting) >= count:
            return fitting[:count]
        if wanted >= _WIDEST_DRAW:
            raise DataError(
                f"--tasks {' '.join(patterns)}: {len(fitting)} tasks of {spec.world}/{split} fit, {count} are wanted; "
                f"it has {', '.join(sorted({task.template for task in drawn}))}"
            )
        wanted *= 2


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
        """Play the tasks that have no episode yet; all episodes, in the order of the tasks."""
        left = [number for number in range(len(self.tasks)) if number not in self.log.finished]
        done = len(self.tasks) - len(left)
        pictures = _Pictures(self.log.folder) if self.pictures else None

        def on_end(at: int, episode: Episode) -> None:
            record = self._record(left[at], episode, pictures.of(episode.task) if pictures else [])
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

    def _record(self, number: int, episode: Episode, pictures: Sequence[str | None]) -> EpisodeRecord:
        spent = self.answer.spent.pop(episode.task.id, []) if isinstance(self.answer, ModelAgent) else []
        steps = []
        for at, step in enumerate(episode.steps):
            cost = {"tokens": spent[at].tokens, "prompt_tokens": spent[at].prompt_tokens} if at < len(spent) else {}
            picture = pictures[at] if at < len(pictures) else None
            call = write(step.action) if step.action else None
            steps.append(StepRecord(step.observation, step.answer, call, step.seconds, **cost, picture=picture))
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
            expert_steps=_expert_steps(self.spec, task),
            steps=tuple(steps),
        )


def _expert_steps(spec: AgentSpec, task: Task) -> int | None:
    if spec.world not in _FREE_EXPERTS:
        return None
    patient = spec.model_copy(update={"rounds": 100, "episode_seconds": None})
    (episode,) = play(patient, [task], expert_answers(patient))
    return len(episode.steps) if episode.success else None


class _Pictures:
    """The screens of live episodes as PNG files below the log's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drawn: dict[str, list[str | None]] = {}

    def seen_by(self, answer: Answerer) -> Answerer:
        """The same agent, whose screens are drawn as it looks at them."""

        def look(situations: Sequence[Situation]) -> Sequence[str]:
            for situation in situations:
                names = self.drawn.setdefault(situation.task.id, [])
                names.append(self._draw(situation.environment, situation.task, len(names)))
            return answer(situations)

        return look

    def of(self, task: Task) -> list[str | None]:
        """The pictures of a task, step by step."""
        return self.drawn.pop(task.id, [])

    def _draw(self, environment: Environment, task: Task, step: int) -> str | None:
        if not isinstance(environment, Pictured):
            return None
        name = "".join(letter if letter.isalnum() else "-" for letter in task.id)[:80]
        file = self.folder / "pictures" / name / f"{step + 1:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        environment.picture().save(file)
        return str(file.relative_to(self.folder))

"""Episodes of a model in the recipe's world, of which the successful ones are kept: rejection sampling.

Every attempt draws with seeds of its own (task, attempt, step), so that neither the batch nor a restart changes what a
local model does, but for the rounding of sums of padded batches. What an agent with eyes was shown waits in the
stage's scratch folder beside the episodes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.agent import Episode, Situation, chat_of, play
from zoo.data.pictures import save
from zoo.data.played import Played, PlayedLog, screen_name
from zoo.data.player import Player, opened_player
from zoo.data.tasks import drawn_tasks
from zoo.data.trajectories import Trajectory
from zoo.environments import Task
from zoo.environments.pictures import as_png
from zoo.metrics import rate
from zoo.records import Metric, StageContext
from zoo.schema import DataSpec
from zoo.serving import Generation

__all__ = ["Played", "chosen_episodes", "played_trajectories"]

_LOG_NAME = "episodes.jsonl"


def played_trajectories(spec: DataSpec, ctx: StageContext) -> tuple[list[Trajectory], Counter[str], dict[str, Metric]]:
    """The kept episodes, how many there are of each fate, and what was measured of all.

    Raises DataError when the split has too few tasks, ModelError when the model cannot be asked.
    """
    tasks = drawn_tasks(spec, ctx.seed)
    log = PlayedLog(ctx.scratch / _LOG_NAME)
    if len(log.episodes) < spec.tries * len(tasks):
        with opened_player(spec, ctx) as player:
            for attempt in range(spec.tries):
                _play(spec, ctx, tasks, attempt, player, log)
    episodes = log.in_order()
    kept, fates = chosen_episodes(episodes, spec.keep)
    screens = None if spec.agent.pictures == "none" else ctx.scratch
    return [played.trajectory(screens) for played in kept], fates, _measured(episodes)


def chosen_episodes(episodes: Sequence[Played], keep: str) -> tuple[list[Played], Counter[str]]:
    """The episodes to learn from, in the order given, and the fate of each episode, counted.

    One whose world broke down is never kept: it says nothing of the model.
    """
    fates: Counter[str] = Counter()
    kept: list[Played] = []
    shortest: dict[int, int] = defaultdict(lambda: 1 << 30)
    for played in episodes:
        if played.success:
            shortest[played.number] = min(shortest[played.number], len(played.steps))
    taken: set[int] = set()
    for played in episodes:
        fate = _fate(played, keep, shortest[played.number], played.number in taken)
        fates[fate] += 1
        if fate == "kept":
            kept.append(played)
            taken.add(played.number)
    return kept, fates


def _fate(played: Played, keep: str, shortest: int, has_one: bool) -> str:
    if played.ended == "error":
        return "the world broke down"
    if keep == "all":
        return "kept"
    if not played.success:
        return f"failed: {played.ended}"
    if keep == "best" and (has_one or len(played.steps) > shortest):
        return "successful, and not the best of its task"
    return "kept"


def _play(
    spec: DataSpec, ctx: StageContext, tasks: Sequence[Task], attempt: int, player: Player, log: PlayedLog
) -> None:
    """Play what is left of one attempt."""
    left = [number for number in range(len(tasks)) if (attempt, number) not in log.episodes]
    if not left:
        return
    numbers = {tasks[number].id: number for number in left}
    answerer = _Answerer(spec, ctx.seed, attempt, numbers, player, ctx.scratch)

    def ended(at: int, episode: Episode) -> None:
        spent = answerer.spent.pop(episode.task.id, [])
        prompts, answers = sum(one.prompt_tokens for one in spent), sum(one.tokens for one in spent)
        log.add(Played.of(attempt, left[at], episode, prompts, answers))

    play(
        spec.agent,
        [tasks[number] for number in left],
        answerer,
        batch=spec.batch,
        progress=_told(spec, ctx, len(tasks), log),
        on_end=ended,
    )


def _told(spec: DataSpec, ctx: StageContext, tasks: int, log: PlayedLog) -> Callable[..., None]:
    """The progress of all attempts together."""

    def told(*_: Any, **__: Any) -> None:
        won = sum(played.success for played in log.episodes.values())
        ctx.progress(len(log.episodes), spec.tries * tasks, successes=won)

    return told


@dataclass
class _Answerer:
    """One attempt's player in the agent's loop; keeps what each step of each task cost."""

    spec: DataSpec
    seed: int
    attempt: int
    numbers: Mapping[str, int]
    """Of each task that is left, by its id."""
    player: Player
    screens: Path

    def __post_init__(self) -> None:
        self.spent: dict[str, list[Generation]] = defaultdict(list)

    def __call__(self, situations: Sequence[Situation]) -> list[str]:
        for situation in situations:
            self._keep_screen(situation)
        chats = [chat_of(self.spec.agent, one, self.player.count) for one in situations]
        seeds = [f"{self.seed} {self.attempt} {one.task.id} {len(one.steps)}" for one in situations]
        numbers = [one.environment.numbers for one in situations] if self.spec.agent.constrained else None
        answers = self.player.draw(chats, seeds, numbers)
        for situation, answer in zip(situations, answers, strict=True):
            self.spent[situation.task.id].append(answer)
        return [answer.text for answer in answers]

    def _keep_screen(self, situation: Situation) -> None:
        if situation.picture is not None:
            name = screen_name(self.attempt, self.numbers[situation.task.id], len(situation.steps))
            save(as_png(situation.picture), self.screens, name)


def _measured(episodes: Sequence[Played]) -> dict[str, Metric]:
    return {
        "success_rate": rate(sum(played.success for played in episodes), len(episodes)),
        "prompt_tokens": Metric(sum(played.prompt_tokens for played in episodes), "tokens"),
        "answer_tokens": Metric(sum(played.answer_tokens for played in episodes), "tokens"),
    }

"""Episodes that a model has played, in the stage's scratch folder: a line each, so that a killed stage goes on.

What a line lacks was never played: a kill may cut the last one, which is dropped.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from zoo.actions import read_call, write
from zoo.agent import Episode
from zoo.data.trajectories import Trajectory, TrajectoryStep

__all__ = ["Played", "PlayedLog", "screen_name"]


@dataclass(frozen=True)
class Played:
    """One episode."""

    attempt: int
    number: int
    """Of its task, from 0."""
    task: str
    template: str
    instruction: str
    success: bool
    ended: str
    steps: tuple[tuple[str, str, str | None], ...]
    """Observation, answer, canonical call."""
    prompt_tokens: int
    answer_tokens: int

    @classmethod
    def of(cls, attempt: int, number: int, episode: Episode, prompt_tokens: int, answer_tokens: int) -> "Played":
        """An episode as it ended."""
        task = episode.task
        steps = tuple(
            (step.observation, step.answer, write(step.action) if step.action else None) for step in episode.steps
        )
        told = (task.id, task.template, task.instruction, episode.success, episode.ended, steps)
        return cls(attempt, number, *told, prompt_tokens, answer_tokens)

    def trajectory(self, screens: Path | None = None) -> Trajectory:
        """For its rows; of an agent with eyes with the pictures that it was shown, which are in `screens`."""
        steps = (
            TrajectoryStep(
                seen,
                said,
                read_call(call) if call else None,
                pictures=(screens / f"images/{screen_name(self.attempt, self.number, at)}.png",) if screens else (),
            )
            for at, (seen, said, call) in enumerate(self.steps)
        )
        return Trajectory(self.task, self.template, self.instruction, tuple(steps))


def screen_name(attempt: int, number: int, at: int) -> str:
    """How the picture of a step is called, without its suffix."""
    return f"{attempt}-{number}-{at}"


class PlayedLog:
    """All that was played of one stage."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.episodes: dict[tuple[int, int], Played] = {}
        lines = file.read_bytes().split(b"\n") if file.is_file() else [b""]
        for line in lines[:-1]:  # what follows the last line break was cut off, amid a letter maybe
            played = _read(line.decode("utf-8"))
            self.episodes[played.attempt, played.number] = played
        if lines[-1]:
            part = file.with_suffix(".part")
            part.write_bytes(b"".join(line + b"\n" for line in lines[:-1]))
            part.replace(file)

    def add(self, played: Played) -> None:
        """Note one more."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(played), ensure_ascii=False) + "\n")
        self.episodes[played.attempt, played.number] = played

    def in_order(self) -> list[Played]:
        """By task, and for each task by attempt."""
        return sorted(self.episodes.values(), key=lambda played: (played.number, played.attempt))


def _read(line: str) -> Played:
    data = json.loads(line)
    return Played(**{**data, "steps": tuple((seen, said, call) for seen, said, call in data["steps"])})

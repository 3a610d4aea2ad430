"""The command that replays episodes that were written down: trace."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.playground.episodes import EpisodeRecord

__all__ = ["trace", "unreadable"]

_FRAME_MILLISECONDS = 1200
_SHOWN_CHARACTERS = 200


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--episode", type=int, metavar="N", help="Replay this one, from 0. Without it: one line an episode.")
@click.option("--gif", type=click.Path(path_type=Path), help="With --episode: its pictures as one that moves.")
@click.option("--failed", is_flag=True, help="Of the list, those alone that were not solved.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines on standard output.")
def trace(file: Path, episode: int | None, gif: Path | None, failed: bool, as_json: bool) -> None:
    """Replay episodes of FILE: of `recipes eval`, or `episodes.jsonl` of an evaluate stage; a folder will do.

    Each step shows the screen, what the agent said, and what it called. Where screens were kept as pictures
    (`recipes eval --pictures`), the picture of a step is named under it, and --gif shows them one after the other.
    """
    from zoo.playground.episodes import EPISODES_NAME, read_episodes

    found = file / EPISODES_NAME if file.is_dir() else file
    records = sorted(read_episodes(found), key=lambda record: record.number)
    chosen = [record for record in records if episode is None or record.number == episode]
    if not records:
        raise DataError(f"{found}: holds no episode yet")
    if not chosen:
        raise DataError(f"{found}: there is no episode {episode}; it has 0 to {records[-1].number}")
    if gif:
        if episode is None:
            raise click.UsageError("--gif needs --episode N")
        _animate(chosen[0], found.parent, gif)
    shown = [record for record in chosen if not (failed and record.success)]
    if as_json:
        for record in shown:
            click.echo(json.dumps(asdict(record), ensure_ascii=False))
    elif episode is None:
        _list(shown)
    else:
        _replay(shown[0] if shown else chosen[0], found.parent)


def _list(records: "Sequence[EpisodeRecord]") -> None:
    for record in records:
        mark = click.style("✓", fg="green") if record.success else click.style("✗", fg="red")
        click.echo(f"{record.number:>4} {mark} {len(record.steps):>2} steps, {record.ended:<7} {record.instruction}")


def _replay(record: "EpisodeRecord", folder: Path) -> None:
    from zoo.actions import read_answer

    click.secho(f"{record.instruction}", bold=True)
    click.secho(f"{record.task}", dim=True)
    for at, step in enumerate(record.steps, start=1):
        click.echo(f"\n{'─' * 3} step {at}, {step.seconds:.2f} s\n{step.observation}")
        if step.picture:
            click.secho(f"  {folder / step.picture}", fg="blue")
        said = read_answer(step.answer)
        for text in (said.reasoning, said.assessment):
            if text:
                click.secho(f"  {text}", dim=True)
        call = step.action or unreadable(step.answer)
        click.secho(f"  {call}", fg="green" if step.action else "red")
    click.echo()
    _show_end(record)


def unreadable(answer: str) -> str:
    """What is shown of an answer without a call: a model at a loss fills all the tokens that it has."""
    shown = repr(answer[:_SHOWN_CHARACTERS])
    more = len(answer) - _SHOWN_CHARACTERS
    return f"no readable call: {shown}" + (f" and {more} more characters" if more > 0 else "")


def _animate(record: "EpisodeRecord", folder: Path, gif: Path) -> None:
    """Write the pictures of an episode as one GIF, whole or not at all."""
    from PIL import Image

    named = [folder / step.picture for step in record.steps if step.picture]
    if any(not file.resolve().is_relative_to(folder.resolve()) for file in named):
        raise DataError(f"{folder}: a picture of episode {record.number} lies outside; use paths within the folder")
    frames = [Image.open(file).convert("RGB") for file in named if file.is_file()]
    if not frames:
        raise DataError(f"{folder}: episode {record.number} has no pictures; they are kept by: recipes eval --pictures")
    part = gif.with_name(gif.name + ".part")
    frames[0].save(part, "GIF", save_all=True, append_images=frames[1:], duration=_FRAME_MILLISECONDS, loop=0)
    part.replace(gif)
    click.echo(f"{len(frames)} pictures: {gif}", err=True)


def _show_end(record: "EpisodeRecord") -> None:
    mark = click.style("success", fg="green") if record.success else click.style("not solved", fg="red")
    goals = f", sub-goals {sum(record.sub_goals)}/{len(record.sub_goals)}" if record.sub_goals else ""
    expert = f", the expert needs {record.expert_steps}" if record.expert_steps else ""
    click.echo(f"{mark}: {len(record.steps)} steps{expert}{goals}, ended by {record.ended} {record.problem}".rstrip())
    if record.judge:
        click.echo(f"judge: {record.judge['verdict']}: {record.judge['text']}")

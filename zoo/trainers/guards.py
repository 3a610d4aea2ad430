"""Runs that have gone wrong, told from what was logged: collapsed entropy, lost reward, rewards that are being hacked.

Each rule reads the history that a checkpoint carries and nothing else, so that a run that was killed and goes on comes
to the same verdict. A loss that is no number is `zoo.trainers.session`'s business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from transformers import TrainerCallback

from zoo.errors import ModelError
from zoo.records import StageContext
from zoo.schema import GuardSpec
from zoo.trainers.session import last_checkpoint

__all__ = ["Alarm", "Guard", "alarm", "collapsed", "diverged", "first_alarm", "hacked"]

History = Sequence[Mapping[str, Any]]
_SUCCESS = ("success", "rewards/action/mean")


@dataclass(frozen=True)
class Alarm:
    """What is wrong, since which step, and whether the run is to stop."""

    rule: str
    since: int
    what: str
    stops: bool


def alarm(history: History, spec: GuardSpec) -> Alarm | None:
    """The first rule that the last window of a history breaks; `history` has an entry for every step that sampled."""
    trained = [entry for entry in history if entry.get("samples/trained", 1) and entry.get("reward") is not None]
    return collapsed(trained, spec) or diverged(trained, spec) or hacked(trained, spec)


def first_alarm(history: History, spec: GuardSpec) -> dict[str, Any] | None:
    """What a finished run was first warned of, for its record."""
    found = (alarm(history[:end], spec) for end in range(1, len(history) + 1))
    return next(({"rule": one.rule, "since": one.since, "what": one.what} for one in found if one), None)


def collapsed(history: History, spec: GuardSpec) -> Alarm | None:
    """Whether the policy says the same every time, without having got better by it.

    A policy that solves its tasks surely has a low entropy too: with a reward above the start's it goes on.
    """
    first, last = _ends(history, spec.window)
    if not spec.entropy_share or not last:
        return None
    floor = spec.entropy_share * _mean(first, "entropy")
    if max(entry["entropy"] for entry in last) >= floor or _mean(last, "reward") > _mean(first, "reward"):
        return None
    what = (
        f"entropy collapsed: {_mean(last, 'entropy'):.2g} nats over the last {spec.window} steps, "
        f"{_mean(first, 'entropy'):.2g} at the start, and the reward is no higher"
    )
    return Alarm("entropy", int(last[0]["step"]), f"{what}; lower `learning_rate`, or raise `epsilon_high`", True)


def diverged(history: History, spec: GuardSpec) -> Alarm | None:
    """Whether the reward that was reached is lost again, and more: lower than at the start beyond its noise."""
    first, last = _ends(history, spec.window)
    if spec.reward_fall == 1 or not last:
        return None
    windows = [history[end - spec.window : end] for end in range(spec.window, len(history) + 1)]
    best = max(_mean(window, "reward") for window in windows)
    noise = 2 * pstdev([entry["reward"] for entry in first])
    now = _mean(last, "reward")
    if now >= best - spec.reward_fall * abs(best) or now >= _mean(first, "reward") - noise:
        return None
    what = f"training diverged: the mean reward of {spec.window} steps fell from {best:.3g} to {now:.3g}"
    return Alarm("reward", int(last[0]["step"]), f"{what}; lower `learning_rate`", True)


def hacked(history: History, spec: GuardSpec) -> Alarm | None:
    """Whether a reward rises from one window to the next while success falls."""
    if spec.hacking == "off" or len(history) < 2 * spec.window:
        return None
    before, last = history[-2 * spec.window : -spec.window], history[-spec.window :]
    success = next((name for name in _SUCCESS if all(entry.get(name) is not None for entry in [*before, *last])), None)
    if success is None or _mean(before, success) - _mean(last, success) < spec.hacking_fall:
        return None
    names = [name for name in last[-1] if name.startswith("rewards/") and name.endswith("/mean") and name != success]
    risen = [
        name for name in names
        if all(entry.get(name) is not None for entry in [*before, *last])
        and _mean(last, name) - _mean(before, name) >= spec.hacking_rise
    ]  # fmt: skip
    if not risen:
        return None
    name, fell = risen[0].split("/")[1], f"{_mean(before, success):.3g} to {_mean(last, success):.3g}"
    what = (
        f"the reward {name!r} rises ({_mean(before, risen[0]):.3g} to {_mean(last, risen[0]):.3g} over {spec.window} "
        f"steps) while {success} falls ({fell}): it may be hacked; look at completions.jsonl, or lower its weight"
    )
    return Alarm("hacking", int(last[0]["step"]), what, spec.hacking == "stop")


class Guard(TrainerCallback):  # type: ignore[misc]  # transformers' classes are untyped here
    """Looks at every step; stops by a ModelError that names the last good checkpoint, or warns once a rule."""

    def __init__(self, spec: GuardSpec, ctx: StageContext, folder: Path) -> None:
        self.spec, self.ctx, self.folder = spec, ctx, folder
        self.warned: set[str] = set()

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        found = alarm([entry for entry in state.log_history if "reward" in entry], self.spec)
        if found and found.stops:
            raise ModelError(f"step {state.global_step}: {found.what}; {_last_good(self.folder, found.since)}")
        if found and found.rule not in self.warned:
            self.warned.add(found.rule)
            self.ctx.log.warning("step %d: %s", state.global_step, found.what)


def _last_good(folder: Path, since: int) -> str:
    newest = last_checkpoint(folder)
    if newest is None:
        return "there is no checkpoint before it"
    good = [path for path in folder.glob("checkpoint-*") if int(path.name.rpartition("-")[2]) < since]
    chosen = max(good, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    if chosen is None:
        return f"every checkpoint that is kept is of step {since} or later, the newest is {newest}"
    return f"the last good checkpoint is {chosen}"


def _ends(history: History, window: int) -> tuple[History, History]:
    """The first window, and the last that has nothing of it; empty until there are two."""
    return (history[:window], history[-window:]) if len(history) >= 2 * window else ((), ())


def _mean(history: History, name: str) -> float:
    return float(mean(entry[name] for entry in history))

"""Success in toy worlds, step by step, by several ways to learn from the same episodes, from a policy at chance.

    python benchmarks/policy_learns.py algorithms --out runs/policy-learns [--seeds 3]
    python benchmarks/policy_learns.py dual-lora --out runs/policy-learns [--seeds 3]
    python benchmarks/policy_learns.py long-tasks --out runs/policy-learns [--seeds 3]

Two layers of 64 units act whole episodes of `tests/toy_world.py`: three rounds to tap the one right button of four
twice. A uniform choice solves 5 of 32 tasks. `algorithms`: GRPO, DAPO and denoised advantages where no screen says
which button is right. `dual-lora`: a world model beside the policy, in an adapter of its own or in the same, where the
screen says it after a wrong tap and nothing is rewarded before the end. `long-tasks`: four taps in six rounds, rewarded
at the end alone (a uniform choice solves 154 of 4096), with and without denoising.

Written to `policy_learns_NAME.md`: success while training, and after how many steps, and how many episodes, each seed
first solved four of five in the mean of five steps. A run's log is kept in `--out`, so that a stopped comparison goes
on. What is found here is found in a world of one secret; harder worlds may say otherwise.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "ablations"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from curves import Curve, of_arms
from toy_policy import DUAL_WAYS, LONG_WAYS, WAYS, learned, taught
from toy_world import COLOURS, RIGHT

from zoo import registry
from zoo.actions import write
from zoo.trainers.history import HISTORY_NAME

HERE = Path(__file__).resolve().parent
CURVE = Curve("grpo", "success", level=0.8, over=5)


@dataclass(frozen=True)
class Question:
    """What is compared, and where."""

    world: str
    ways: Mapping[str, Mapping[str, Any]]
    screens: Sequence[str]
    """What the policy can see, for it to know how to tap."""
    asks: str
    chance: float
    """What a uniform choice solves."""
    foresees: bool = False
    """Whether the policy has been asked before what it will see next."""


_TOLD = [f"{colour}: {write(RIGHT)}" for colour in COLOURS]
QUESTIONS = {
    "algorithms": Question(
        "toy_world:ToyWorld", WAYS, COLOURS,
        "Do DAPO and AgentCPM's denoised advantages reach the same success in fewer steps or episodes than GRPO?",
        5 / 32,
    ),
    "dual-lora": Question(
        "toy_world:TellingToy", DUAL_WAYS, [*COLOURS, *_TOLD],
        "Does a world model help a policy whose reward is 0 until the end, where screens tell what was missing?",
        5 / 32, foresees=True,
    ),
    "long-tasks": Question(
        "toy_world:LongToy", LONG_WAYS, COLOURS,
        "Does denoising help where four steps have to be right and success alone is rewarded?",
        154 / 4096,
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", choices=QUESTIONS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="default %(default)s")
    parser.add_argument("--steps", type=int, default=25, help="default %(default)s")
    options = parser.parse_args()
    question = QUESTIONS[options.question]
    registry.ENVIRONMENTS["phone"] = question.world
    with tempfile.TemporaryDirectory() as name:
        start = cache(lambda: taught(Path(name), question.screens, question.foresees))
        runs: dict[str, list[Path]] = {way: [] for way in question.ways}
        for seed in range(options.seeds):  # every way before the next seed: what is stopped has whole seeds
            for way, changes in question.ways.items():
                kept = options.out / f"{way.replace(' ', '-').replace(',', '')}-{options.steps}-{seed}"
                runs[way].append(_run(kept, start, changes, seed, options.steps))
    command = f"policy_learns.py {options.question} --out FOLDER --seeds {options.seeds} --steps {options.steps}"
    said = "32 episodes a step and more where dynamic sampling asks for them."
    said = f"{said} A uniform choice solves {question.chance:.3f}."
    head = [f"# policy_learns: {options.question}", "", question.asks, "", f"`python benchmarks/{command}`. {said}"]
    text = "\n".join([*head, *of_arms(CURVE, runs), ""])
    (HERE / f"policy_learns_{options.question.replace('-', '_')}.md").write_text(text, "utf-8")
    print(text)


def _run(kept: Path, start: Callable[[], Path], changes: Mapping[str, Any], seed: int, steps: int) -> Path:
    """The folder with what one run logged."""
    if not (kept / HISTORY_NAME).is_file():
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as name:
            trl = {**changes.get("trl", {}), "max_steps": steps}
            learned(Path(name) / "run", start(), seed, **{**changes, "trl": trl})
            shutil.copyfile(Path(name) / "run" / "out" / HISTORY_NAME, kept / f"{HISTORY_NAME}.part")
        (kept / f"{HISTORY_NAME}.part").replace(kept / HISTORY_NAME)
        print(kept.name, flush=True)
    return kept


if __name__ == "__main__":
    main()

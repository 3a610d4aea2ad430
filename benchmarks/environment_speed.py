"""How many steps of text a second the phone makes on one core.

Chance acts, so that every kind of screen occurs; each step asks for its observation. Printed: a line a run, then one
JSON line with the median. Not measured: drawing tasks and prompts.

    python benchmarks/environment_speed.py --steps 50000 --runs 5
"""

import argparse
import json
import platform
from random import Random
from statistics import median
from time import perf_counter

from zoo.actions import Action
from zoo.environments.phone import PhoneEnvironment, draw_tasks

_NAMES = ("tap",) * 8 + ("swipe", "back", "home", "text")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50_000, help="steps of one run (default %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median counts (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of tasks and actions (default %(default)s)")
    options = parser.parse_args()
    rates = []
    for run in range(options.runs):
        rates.append(steps_per_second(options.steps, options.seed))
        print(f"run {run + 1}: {rates[-1]:,.0f} steps/s")
    result = {"steps_per_second": round(median(rates)), "runs": options.runs, "steps": options.steps}
    print(json.dumps({**result, "python": platform.python_version(), "machine": platform.machine()}))


def steps_per_second(steps: int, seed: int) -> float:
    """The rate of one run: actions are drawn beforehand, a new task begins every 25 steps, outside the clock."""
    tasks = draw_tasks("train", 200, seed)
    actions = [_action(Random(f"{seed} {number}")) for number in range(997)]
    environment = PhoneEnvironment()
    seconds, done = 0.0, 0
    while done < steps:
        environment.reset(tasks[done // 25 % len(tasks)])
        start = perf_counter()
        for number in range(done, done + 25):
            environment.step(actions[number % len(actions)])
        seconds += perf_counter() - start
        done += 25
    return done / seconds


def _action(rng: Random) -> Action:
    name = rng.choice(_NAMES)
    touched = rng.randint(1, 6)
    return Action(name, {"tap": (touched,), "swipe": (touched, "up", "long"), "text": ("milk",)}.get(name, ()))


if __name__ == "__main__":
    main()

"""How many steps of text, of XML and of pictures a second the phone makes on one core.

Chance acts, so that every kind of screen occurs; each step asks for its observation. Printed: a line a kind, then one
JSON line with the medians. Time is the process's own, so that a busy machine counts no fewer steps. Not measured:
drawing tasks and prompts.

    python benchmarks/environment_speed.py --world phone-ten --steps 50000 --runs 5
"""

import argparse
import json
import platform
from collections.abc import Callable
from random import Random
from statistics import median
from time import process_time

from zoo.actions import Action
from zoo.environments.phone import PhoneEnvironment
from zoo.registry import ENVIRONMENTS, load

_NAMES = ("tap",) * 8 + ("swipe", "back", "home", "text")
_OBSERVE: dict[str, Callable[[PhoneEnvironment], object]] = {
    "xml": lambda environment: environment.observation("xml"),
    "terse": lambda environment: environment.observation("terse"),
    "xml with bounds": lambda environment: environment.observation("xml-bounds"),
    "screenshot": lambda environment: environment.screenshot(),
    "marked screenshot": lambda environment: environment.screenshot(marks=True),
    "copy": lambda environment: environment.copy(),
}
"""What is asked for after each step -> how; a copy is no observation, but a search makes one a step."""
_SLOW = 100
"""A picture is asked for so many times more rarely."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", choices=sorted(ENVIRONMENTS), default="phone", help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=50_000, help="steps of one run (default %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median counts (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of tasks and actions (default %(default)s)")
    options = parser.parse_args()
    result: dict[str, object] = {"world": options.world, "runs": options.runs, "steps": options.steps}
    for kind in _OBSERVE:
        steps = options.steps // (_SLOW if "screenshot" in kind else 1)
        rates = [steps_per_second(options.world, kind, steps, options.seed) for _ in range(options.runs)]
        print(f"{kind}: " + ", ".join(f"{rate:,.0f}" for rate in rates) + " a second")
        result[f"{kind.replace(' ', '_')}_steps_per_second"] = round(median(rates))
    print(json.dumps({**result, "python": platform.python_version(), "machine": platform.machine()}))


def steps_per_second(world: str, kind: str, steps: int, seed: int) -> float:
    """The rate of one run: actions are drawn beforehand, a new task begins every 25 steps, outside the clock."""
    phone: type[PhoneEnvironment] = load(ENVIRONMENTS[world])
    tasks = phone.draw_tasks("train", 200, seed)
    actions = [_action(Random(f"{seed} {number}")) for number in range(997)]
    environment, observe = phone(), _OBSERVE[kind]
    seconds, done = 0.0, 0
    while done < steps:
        environment.reset(tasks[done // 25 % len(tasks)])
        start = process_time()
        for number in range(done, done + 25):
            environment.act(actions[number % len(actions)])
            observe(environment)
        seconds += process_time() - start
        done += 25
    return done / seconds


def _action(rng: Random) -> Action:
    name = rng.choice(_NAMES)
    touched = rng.randint(1, 6)
    return Action(name, {"tap": (touched,), "swipe": (touched, "up", "long"), "text": ("milk",)}.get(name, ()))


if __name__ == "__main__":
    main()

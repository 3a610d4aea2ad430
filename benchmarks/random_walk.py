"""How many tasks chance solves: the floor under every success rate, and the proof that tasks cannot be stumbled into.

Chance is the agent `zoo.agent.random_answers`: a random call on a random element, with random words of the instruction,
for at most so many steps. Printed: a line a split, then one JSON line, each rate with n and a 95 % interval.

    python benchmarks/random_walk.py --world phone-ten --tasks 2000
"""

import argparse
import json
from dataclasses import asdict

from zoo.agent import play, random_answers
from zoo.metrics import rate
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import AgentSpec

_SPLITS = ("train", "held-out-parameters", "held-out-templates", "held-out-app")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", choices=sorted(ENVIRONMENTS), default="phone-ten", help="default: %(default)s")
    parser.add_argument("--tasks", type=int, default=2000, help="of each split (default %(default)s)")
    parser.add_argument("--steps", type=int, default=25, help="of one episode (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of tasks and of chance (default %(default)s)")
    options = parser.parse_args()
    rates = {}
    for split in _SPLITS:
        try:
            tasks = load(ENVIRONMENTS[options.world]).draw_tasks(split, options.tasks, options.seed)
        except ValueError as error:
            print(f"{split}: not run: {error}")
            continue
        spec = AgentSpec(world=options.world, rounds=options.steps)
        episodes = play(spec, tasks, random_answers(options.seed), batch=64)
        solved = [episode.task.template for episode in episodes if episode.success]
        rates[split] = asdict(rate(len(solved), len(episodes)))
        interval = f"{rates[split]['low']:.2%} to {rates[split]['high']:.2%}"
        print(f"{split}: {len(solved)} of {len(episodes)} ({interval}) {', '.join(sorted(set(solved)))}")
    print(json.dumps({"world": options.world, "steps": options.steps, "seed": options.seed, "splits": rates}))


if __name__ == "__main__":
    main()

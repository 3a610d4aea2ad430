"""How long the command takes when nothing is to be trained: help, check, plan, and a run that finds everything cached.

Each is a whole process, from its start to its end. Printed: a line a command with minimum, median and maximum, then one
JSON line with the medians. The cached run needs a finished run of the recipe in EDGEZOO_HOME; without one it is left
out and said to be.

    python benchmarks/startup.py --recipe pocket-135m --runs 7
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

RECIPES = str(Path(sys.executable).with_name("recipes"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="pocket-135m", help="default %(default)s")
    parser.add_argument("--tiny", action="store_true", help="plan and run its tiny twin")
    parser.add_argument("--runs", type=int, default=7, help="runs of which the median counts (default %(default)s)")
    options = parser.parse_args()
    recipe = [options.recipe, *(["--tiny"] if options.tiny else [])]
    commands = {"help": ["--help"], "check": ["check", *recipe], "plan": ["plan", *recipe, "--offline"]}
    if everything_cached(recipe):
        commands["cached run"] = ["run", *recipe, "--offline"]
    else:
        print(f"cached run: not measured, {' '.join(recipe)} is not finished here")
    medians = {}
    for name, arguments in commands.items():
        seconds = sorted(timed(arguments) for _ in range(options.runs))
        medians[name] = round(median(seconds), 3)
        print(f"{name:<11} min {seconds[0]:.3f} s   median {medians[name]:.3f} s   max {seconds[-1]:.3f} s")
    print(json.dumps({"recipe": recipe[0], "tiny": options.tiny, "runs": options.runs, "median_seconds": medians}))


def everything_cached(recipe: list[str]) -> bool:
    """Whether the run would find every stage finished."""
    plan = subprocess.run([RECIPES, "plan", *recipe, "--offline", "--json"], capture_output=True, text=True, check=True)
    return all(stage["state"] == "cached" for stage in json.loads(plan.stdout)["stages"])


def timed(arguments: list[str]) -> float:
    """Seconds of one whole process."""
    start = perf_counter()
    subprocess.run([RECIPES, *arguments], capture_output=True, check=True)
    return perf_counter() - start


if __name__ == "__main__":
    main()

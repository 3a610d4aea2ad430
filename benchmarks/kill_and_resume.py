"""Whether a run that is killed at random instants, again and again, ends with the same digests as one that is not.

A tiny run is made once without interruption, each stage's digests kept. Then runs start in a fresh cache, each is
ended with SIGKILL (the runner alone, so that its worker must notice) after a random time, until as many kills have hit
as asked; after every few kills one is left to finish, its digests are compared and the cache is emptied. Not compared:
files that hold measured seconds (episodes, verify reports) and the publication that quotes them.

    python benchmarks/kill_and_resume.py --recipe pocket-135m --kills 20
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RECIPES = str(Path(sys.executable).with_name("recipes"))
# Their content says how long something took.
TIMED = {"evaluate", "verify", "publish"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="pocket-135m", help="default %(default)s")
    parser.add_argument("--kills", type=int, default=20, help="default %(default)s")
    parser.add_argument("--kills-per-run", type=int, default=5, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the instants (default %(default)s)")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        expected = finished(options.recipe, Path(folder) / "straight")
        seconds = time.perf_counter() - start
        print(f"not killed: {seconds:.0f} s, {len(expected)} stages compared")
        killed = different = 0
        while killed < options.kills:
            home = Path(folder) / "killed"
            hit = sum(kill(options.recipe, home, rng.uniform(1, seconds / 2)) for _ in range(options.kills_per_run))
            found = finished(options.recipe, home)
            wrong = [stage for stage in expected if found.get(stage) != expected[stage]]
            killed, different = killed + hit, different + bool(wrong)
            print(f"killed {killed} of {options.kills}; differing: {', '.join(wrong) or 'none'}", flush=True)
            shutil.rmtree(home)
    print(json.dumps({"recipe": options.recipe, "kills": killed, "runs_that_differed": different}))
    return 1 if different else 0


def finished(recipe: str, home: Path) -> dict[str, Any]:
    """Run to the end; stage -> the digests of its files."""
    command = [RECIPES, "run", recipe, "--tiny", "--json"]
    run = subprocess.run(
        command, env={**os.environ, "EDGEZOO_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise SystemExit(f"the run failed:\n{run.stderr[-3000:]}")
    stages = json.loads(run.stdout.splitlines()[-1])["stages"]
    records = {name: json.loads((Path(stage["folder"]) / "stage.json").read_text()) for name, stage in stages.items()}
    return {name: record["files"] for name, record in records.items() if record["kind"] not in TIMED}


def kill(recipe: str, home: Path, seconds: float) -> bool:
    """Start a run and kill it after so many seconds; whether it was still running."""
    run = subprocess.Popen(
        [RECIPES, "run", recipe, "--tiny"],
        env={**os.environ, "EDGEZOO_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())

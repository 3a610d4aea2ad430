"""What the pipeline adds to the stages that it runs: processes, imports, digests, records, a plan.

The same stages of the same recipe, once by `recipes run` in an empty cache and once called by hand, one after the
other in one process, each as `run(spec, context)` with nothing around it. Printed: both wall times, their ratio, the
difference in seconds (a constant of a few seconds a stage, so its share falls with the length of the training), one
JSON line. The embedded Hub of EDGEZOO_HOME must hold the base model (`recipes hub seed`).

    python benchmarks/pipeline_overhead.py --recipe pocket-135m --set demos.tasks=40 --runs 1
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from zoo import machine, records, registry
from zoo.cache import default_root
from zoo.cli.library import find
from zoo.cli.outside import Outside
from zoo.plan import PlannedStage, lineage, lock, plan
from zoo.recipe import load
from zoo.records import StageContext
from zoo.refs import StageRef
from zoo.worker import ENVIRONMENT

RECIPES = str(Path(sys.executable).with_name("recipes"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="pocket-135m", help="default %(default)s")
    parser.add_argument("--tiny", action="store_true", help="its tiny twin")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--runs", type=int, default=3, help="pairs of which the median counts (default %(default)s)")
    parser.add_argument("--by-hand", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.by_hand:
        by_hand(options)
        return
    arguments = [options.recipe, *(["--tiny"] if options.tiny else [])]
    arguments += [word for override in options.overrides for word in ("--set", override)]
    pairs = []
    for number in range(options.runs):
        pairs.append((piped(arguments), timed([sys.executable, __file__, "--by-hand", "--recipe", *arguments])))
        print(f"pair {number + 1}: recipes run {pairs[-1][0]:.1f} s, by hand {pairs[-1][1]:.1f} s", flush=True)
    ratio, extra = median(a / b for a, b in pairs), median(a - b for a, b in pairs)
    print(f"ratio {ratio:.3f}, {extra:+.1f} s")
    print(json.dumps({"recipe": arguments, "pairs": pairs, "median_ratio": ratio, "median_extra_seconds": extra}))


def piped(arguments: list[str]) -> float:
    """Seconds of `recipes run` in a cache that holds nothing but the Hub's repositories."""
    with tempfile.TemporaryDirectory() as home:
        shutil.copytree(default_root() / "hub", Path(home) / "hub", dirs_exist_ok=True)
        return timed([RECIPES, "run", *arguments, "--no-push"], EDGEZOO_HOME=home)


def timed(command: list[str], **environment: str) -> float:
    start = perf_counter()
    subprocess.run(command, env={**ENVIRONMENT, **os.environ, **environment}, capture_output=True, check=True)
    return perf_counter() - start


def by_hand(options: argparse.Namespace) -> None:
    """Every stage in this process, its folder handed to the next; records are kept in memory for the publication."""
    loaded = load(find(options.recipe), options.overrides, tiny=options.tiny)
    outside = Outside(default_root(), offline=True)
    stages = plan(loaded.recipe, outside.identify)
    files = {**loaded.texts, "recipe.lock.yaml": json.dumps(lock(loaded.recipe, stages, {}, tiny=loaded.tiny))}
    folders: dict[str, Path] = {}
    made: dict[str, records.StageRecord] = {}
    with tempfile.TemporaryDirectory() as folder, outside.fetcher() as fetch:
        for stage in stages:
            out, scratch = Path(folder) / stage.name, Path(folder) / f"{stage.name}.scratch"
            out.mkdir()
            scratch.mkdir()
            inputs = {
                place: folders[item.ref.name] if isinstance(item.ref, StageRef) else fetch(item)
                for place, item in stage.inputs.items()
            }
            above = {name: made[name] for name in lineage(stages, stage.name)}
            context = StageContext(out, scratch, inputs, stage.seed, lineage=above, recipe_files=files)
            result = registry.load(registry.STAGES[stage.kind].run)(stage.spec, context)
            folders[stage.name], made[stage.name] = out, bare_record(stage, result, out)


def bare_record(stage: PlannedStage, result: records.StageResult, out: Path) -> records.StageRecord:
    """What a card reads of a stage; no digests, which are the pipeline's."""
    sizes = {str(file.relative_to(out)): {"bytes": file.stat().st_size} for file in out.rglob("*") if file.is_file()}
    return records.StageRecord(
        name=stage.name,
        kind=stage.kind,
        version=stage.version,
        key=str(stage.key),
        settings=stage.settings,
        inputs={place: str(item.identity) for place, item in stage.inputs.items()},
        seed=stage.seed,
        metrics=result.metrics,
        notes=result.notes,
        files=sizes,
        versions=machine.versions(),
        hardware=machine.hardware(),
        started="",
        seconds=0.0,
        peak_memory_bytes=0,
    )


if __name__ == "__main__":
    main()

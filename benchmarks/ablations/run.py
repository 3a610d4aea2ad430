"""One recipe run in several arms with several seeds, and a table of what was measured in each.

`NAME.yaml` beside this file names a recipe, the arms (dotted overrides, as `recipes run --set` takes them), the metrics
to compare and what is asked. Every arm and seed is a `recipes run` in one home, so that what is finished is not done
again and what arms share is done once; stop it at any time, the same command goes on.

    python benchmarks/ablations/run.py dual-lora --seeds 3 --home runs/ablations

Small models are trained in less time than torch takes to load, so that a run is a fork of this process and its stages
have none of their own. Printed, and written to `NAME.md`: a Markdown table. A rate is pooled over the seeds, with
Wilson's 95 % interval, which takes the episodes as independent; any other metric is the mean of the seeds with the
lowest and the highest. `curve` adds what a training stage logged step by step, and when it reached a level.
"""

import argparse
import io
import json
import multiprocessing
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from curves import Curve, of_arms

from zoo import registry
from zoo.cli import command
from zoo.errors import RecipeError
from zoo.metrics import rate
from zoo.recipe import load
from zoo.worker import ENVIRONMENT

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ablation:
    """What `NAME.yaml` says."""

    name: str
    question: str
    recipe: Path
    arms: Mapping[str, Sequence[str]]
    """Label -> overrides, `dotted.key=value`."""
    metrics: Mapping[str, str]
    """Label -> `stage:metric` of a record."""
    curve: Curve | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "name", choices=sorted(file.stem for file in HERE.glob("*.yaml") if not file.stem.endswith("-recipe"))
    )
    parser.add_argument("--seeds", type=int, default=3, help="default %(default)s")
    parser.add_argument("--home", type=Path, required=True, help="where the runs are kept")
    parser.add_argument("--set", dest="also", action="append", default=[], help="an override of every arm")
    options = parser.parse_args()
    try:
        ablation = read(HERE / f"{options.name}.yaml")
    except RecipeError as error:
        raise SystemExit(f"{error}\nthe rows and the model are made as the head of the recipe says") from None
    prepare(options.home)
    results: dict[str, list[dict[str, Any]]] = {label: [] for label in ablation.arms}
    for seed in range(options.seeds):  # every arm before the next seed: what is stopped has whole seeds
        for label, overrides in ablation.arms.items():
            results[label].append(run(ablation, [*overrides, *options.also], seed))
    text = report(ablation, results, options.also)
    (HERE / f"{options.name}.md").write_text(text, "utf-8")
    print(text)
    return 0


def read(file: Path) -> Ablation:
    """An ablation's file; its recipe is loaded once with each arm, so that a mistake shows before anything runs."""
    given = yaml.safe_load(file.read_text("utf-8"))
    arms = {
        label: [f"{key}={json.dumps(value)}" for key, value in (arm or {}).items()]
        for label, arm in given["arms"].items()
    }
    curve = Curve(**given["curve"]) if "curve" in given else None
    recipe = (file.parent / given["recipe"]).resolve()
    ablation = Ablation(file.stem, given["question"], recipe, arms, given["metrics"], curve)
    for overrides in arms.values():
        stages = load(ablation.recipe, overrides).recipe.stages
        if missing := {place.partition(":")[0] for place in ablation.metrics.values()} - stages.keys():
            raise SystemExit(
                f"{file.name}: metrics name {', '.join(sorted(missing))}, no stage of {ablation.recipe.name}"
            )
    return ablation


def prepare(home: Path) -> None:
    """Where runs are kept, and stages without processes of their own."""
    os.environ.update({**ENVIRONMENT, **os.environ, "EDGEZOO_HOME": str(home.resolve())})
    for kind, entry in registry.STAGES.items():
        registry.STAGES[kind] = replace(entry, isolated=False)
    for module in ("torch", "trl", "peft", "transformers.models.auto.modeling_auto"):
        __import__(module)  # once, for every fork


def run(ablation: Ablation, overrides: Sequence[str], seed: int) -> dict[str, Any]:
    """One arm with one seed, in a fork; stage -> its folder and what its record measured."""
    sets = [part for override in [*overrides, f"seed={seed}"] for part in ("--set", override)]
    arguments = ["run", str(ablation.recipe), *sets, "--no-push", "--json"]
    with multiprocessing.get_context("fork").Pool(1) as fork:
        printed = fork.apply(_printed, (arguments, seed))
    stages: dict[str, Any] = json.loads(printed.splitlines()[-1])["stages"]
    return stages


def _printed(arguments: Sequence[str], seed: int) -> str:
    """What a command prints; with a seed, since an adapter's first numbers are drawn before its trainer seeds."""
    import torch

    torch.manual_seed(seed)
    with redirect_stdout(io.StringIO()) as printed:
        command.main(args=list(arguments), standalone_mode=False)
    return printed.getvalue()


def report(ablation: Ablation, results: Mapping[str, Sequence[Mapping[str, Any]]], also: Sequence[str]) -> str:
    """The table as Markdown, under its question and the command that printed it."""
    seeds = len(next(iter(results.values())))
    sets = "".join(f" --set {override}" for override in also)
    lines = [
        f"# {ablation.name}", "", ablation.question, "",
        f"`python benchmarks/ablations/run.py {ablation.name} --seeds {seeds} --home FOLDER{sets}`, {seeds} seeds.", "",
        "| arm | " + " | ".join(ablation.metrics) + " |", "| --- |" + " --- |" * len(ablation.metrics),
    ]  # fmt: skip
    for label, seeds_of_arm in results.items():
        cells = [cell([found(one, place) for one in seeds_of_arm]) for place in ablation.metrics.values()]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    if ablation.curve:
        lines += of_arms(ablation.curve, {label: _folders(ablation.curve, arm) for label, arm in results.items()})
    return "\n".join(lines) + "\n"


def _folders(curve: Curve, runs: Iterable[Mapping[str, Any]]) -> list[Path]:
    return [Path(stages[curve.stage]["folder"]) for stages in runs]


def found(stages: Mapping[str, Any], place: str) -> Mapping[str, Any] | None:
    stage, _, metric = place.partition(":")
    value: Mapping[str, Any] | None = stages.get(stage, {}).get("metrics", {}).get(metric)
    return value


def cell(metrics: Sequence[Mapping[str, Any] | None]) -> str:
    """What the seeds measured of one metric in one arm."""
    known = [metric for metric in metrics if metric]
    if not known:
        return "not run"
    if all(metric["low"] is not None and not metric["unit"] and metric["n"] for metric in known):
        n = sum(metric["n"] for metric in known)
        pooled = rate(round(sum(metric["value"] * metric["n"] for metric in known)), n)
        return f"{pooled.value:.1%} ({pooled.low:.1%} to {pooled.high:.1%}), n={n}"
    values = [metric["value"] for metric in known]
    return f"{sum(values) / len(values):.4g} ({min(values):.4g} to {max(values):.4g})"


if __name__ == "__main__":
    sys.exit(main())

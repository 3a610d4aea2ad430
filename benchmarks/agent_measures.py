"""What agents are worth: success on every split, with and without grammar, by memory, of expert, chance and models.

Every cell of the table is an evaluation of its own in a folder of its own, written episode by episode: stopped, the
same command goes on, and what is finished is only read. Printed: a Markdown table with n and 95 % intervals; with
`--json`, one JSON line of the same. Success is decided by the state of the world.

    python benchmarks/agent_measures.py --model files/Pocket-135M-Q8_0.gguf --world phone-ten --tasks 200
    python benchmarks/agent_measures.py --model zero=a.gguf --model trained=b.gguf --world miniwob --parts splits

Parts: `splits`: all who act, on every split of the world, or those of `--splits`. `grammar`: the models, kept to the
calls of their screens. `memory`: the models with each kind of memory. The last two on `held-out-parameters`. In
MiniWoB++, `train` and `held-out-parameters` are the pages that the expert can demonstrate with seen and held-out seeds;
`held-out-templates` are pages that nobody trained on, of which the expert plays those that it knows.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from zoo import fingerprint
from zoo.agent import Answerer, expert_answers, open_environment, random_answers
from zoo.cache import default_root
from zoo.cli.library import find
from zoo.cli.models import open_model
from zoo.environments import Split
from zoo.environments.choosing import EXPERT, choose_tasks
from zoo.errors import DataError
from zoo.playground import EpisodeLog, EpisodeRecord, ModelAgent, Session, ask_runtime, measures
from zoo.recipe import load
from zoo.records import Metric
from zoo.registry import ENVIRONMENTS
from zoo.schema import AgentSpec

_SPLITS: tuple[Split, ...] = get_args(Split)
_PARTS = ("splits", "grammar", "memory")
_HELD_OUT: Split = "held-out-parameters"
_MEMORIES: dict[str, dict[str, Any]] = {
    "none": {"memory": "none"},
    "last one": {"memory": "assessments", "memory_steps": 1},
    "assessments": {"memory": "assessments"},
    "folded": {"memory": "folded"},
    "actions": {"memory": "actions"},
}
_COLUMNS = {
    "success": "success_rate",
    "sub-goals": "sub_goal_rate",
    "readable calls": "valid_action_rate",
    "screen changed": "reasonable_operations",
    "steps": "steps_per_episode",
    "prompt tokens a step": "prompt_tokens_per_step",
    "answer tokens a step": "tokens_per_step",
    "seconds a step": "seconds_per_step",
}
_RATES = ("success", "sub-goals", "readable calls")


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    who: str
    split: Split
    how: str
    """What is different from the recipe's agent."""
    agent: AgentSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", default=[], help="[NAME=]FILE or folder; may be repeated")
    parser.add_argument("--world", choices=sorted(ENVIRONMENTS), default="phone-ten", help="default: %(default)s")
    parser.add_argument("--tasks", type=int, default=100, help="of each cell (default %(default)s)")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS), help="default: all")
    parser.add_argument("--splits", nargs="+", choices=_SPLITS, default=list(_SPLITS), help="default: all")
    parser.add_argument("--recipe", default="pocket-135m", help="whose agent (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of tasks and of chance (default %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="episodes side by side (default %(default)s)")
    parser.add_argument("--threads", type=int, help="of llama.cpp")
    parser.add_argument("--json", action="store_true", help="also one JSON line")
    parser.add_argument("--out", type=Path, help="the folder of the cells; default: in EDGEZOO_HOME")
    options = parser.parse_args()
    models = dict(map(_named, options.model))
    agent = load(find(options.recipe)).recipe.agent.model_copy(update={"world": options.world})
    folder = options.out or default_root() / "evaluations" / "measures"
    rows = []
    with ExitStack() as stack:
        answerers = _Answerers(models, options.seed, options.threads, stack)
        for cell in cells(agent, tuple(models), options.parts, options.splits):
            try:
                rows.append((cell, played(cell, answerers, models, options, folder)))
            except DataError as error:
                print(f"not run: {cell.who}, {cell.split}, {cell.how}: {error}")
    print(table(rows))
    if options.json:
        known = {"world": options.world, "recipe": options.recipe, "seed": options.seed}
        print(json.dumps({**known, "cells": [_data(cell, measured) for cell, measured in rows]}))


def cells(
    agent: AgentSpec, models: Sequence[str], parts: Sequence[str], splits: Sequence[Split] = _SPLITS
) -> Iterator[Cell]:
    """What is measured, in the order of the table."""
    if "splits" in parts:
        for split in splits:
            yield from (Cell(who, split, "", agent) for who in ("expert", "random", *models))
    if "grammar" in parts:
        for who in models:
            for how, constrained in (("without grammar", False), ("with grammar", True)):
                yield Cell(who, _HELD_OUT, how, agent.model_copy(update={"constrained": constrained}))
    if "memory" in parts:
        for who in models:
            for name, change in _MEMORIES.items():
                yield Cell(who, _HELD_OUT, f"memory: {name}", agent.model_copy(update=change))


class _Answerers:
    """Whoever acts, each model opened when it is first needed."""

    def __init__(self, models: dict[str, Path], seed: int, threads: int | None, stack: ExitStack) -> None:
        self._models, self._seed, self._threads, self._stack = models, seed, threads, stack
        self._open: dict[str, Any] = {}

    def of(self, cell: Cell) -> Answerer:
        """For one cell: its agent decides the prompt."""
        if cell.who == "expert":
            return expert_answers(cell.agent)
        if cell.who == "random":
            return random_answers(self._seed)
        if cell.who not in self._open:
            self._open[cell.who] = open_model(self._models[cell.who], self._threads)
            self._stack.callback(self._open[cell.who].close)
        runtime = self._open[cell.who]
        count: Callable[[str], int] = lambda text: len(runtime.encode(text))  # noqa: E731
        return ModelAgent(cell.agent, ask_runtime(cell.agent, runtime), count)


def played(
    cell: Cell, answerers: _Answerers, models: dict[str, Path], options: argparse.Namespace, folder: Path
) -> dict[str, Metric]:
    """The measures of a cell, its missing episodes played. Raises DataError when the split has not so many tasks."""
    known = options.world == "miniwob" and (cell.split != "held-out-templates" or cell.who == "expert")
    patterns = (EXPERT,) if known else ()
    environment = open_environment(cell.agent)
    tasks = choose_tasks(environment, cell.split, patterns, options.tasks, options.seed)
    file = models.get(cell.who)
    settings = {
        "who": cell.who,
        "bytes": file.stat().st_size if file and file.is_file() else None,
        "file": str(file) if file else None,
        "split": cell.split,
        "templates": patterns,
        "agent": cell.agent.model_dump(mode="json"),
        "seed": options.seed,
        "tasks": options.tasks,
    }
    log = EpisodeLog(folder / fingerprint.of_data(settings)[:12], settings)
    records: list[EpisodeRecord] = log.records()
    if len(records) < len(tasks):
        records = Session(cell.agent, tasks, answerers.of(cell), log, options.batch).run(_progress(cell))
    return measures(records)


def _progress(cell: Cell) -> Callable[..., None]:
    def told(step: int, total: int | None = None, **fields: float | str) -> None:
        line = f"{cell.who}, {cell.split}{f', {cell.how}' if cell.how else ''}: {step} of {total}"
        print(f"\r{line}, solved {fields['successes']}   ", end="" if step != total else "\n", flush=True)

    return told


def table(rows: Sequence[tuple[Cell, dict[str, Metric]]]) -> str:
    """Markdown: a row a cell; a rate with its interval in brackets, everything else as a mean."""
    lines = [
        f"| who | split | how | n | {' | '.join(_COLUMNS)} |",
        f"| --- | --- | --- | --- |{' --- |' * len(_COLUMNS)}",
    ]
    for cell, found in rows:
        shown = [_shown(column, found.get(name)) for column, name in _COLUMNS.items()]
        how = cell.how or "as the recipe"
        lines.append(f"| {cell.who} | {cell.split} | {how} | {found['success_rate'].n} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _shown(column: str, metric: Metric | None) -> str:
    if metric is None:
        return "-"
    if column not in _RATES:
        return f"{metric.value:.2f}" if metric.unit in ("s", "steps") else f"{metric.value:.0f}"
    if metric.low is None or metric.high is None:
        return f"{metric.value:.1%}"
    return f"{metric.value:.1%} ({metric.low:.1%} to {metric.high:.1%})"


def _data(cell: Cell, measured: dict[str, Metric]) -> dict[str, Any]:
    return {
        "who": cell.who,
        "split": cell.split,
        "how": cell.how,
        **{name: asdict(metric) for name, metric in measured.items()},
    }


def _named(given: str) -> tuple[str, Path]:
    name, equals, path = given.partition("=")
    return (name, Path(path)) if equals else (Path(given).stem, Path(given))


if __name__ == "__main__":
    main()

"""The stage `evaluate`: success on held-out tasks, decided by the state of the world, never by the text.

The metrics are those of `recipes eval` (`zoo.playground.scores`): AndroidLab's four (arXiv 2410.24024) and what they
cost. Not covered: a judge that is a model.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from zoo.agent import Answerer, Generate, Situation, chat_of, open_environment, play
from zoo.environments import Task, choosing
from zoo.playground import EPISODES_NAME, EpisodeRecord, ModelAgent, ask_runtime, groups, measures, recorded
from zoo.records import StageContext, StageResult
from zoo.schema import EvaluateSpec
from zoo.serving import open_torch

__all__ = ["EPISODES_NAME", "evaluate", "evaluate_anybody", "run"]


def run(spec: EvaluateSpec, ctx: StageContext) -> StageResult:
    """Let the model at `ctx.inputs["model"]` act on the tasks. See `evaluate_anybody`."""
    runtime = open_torch(ctx.inputs["model"], ctx.device, spec.dtype)
    try:
        answer = ModelAgent(spec.agent, ask_runtime(spec.agent, runtime), lambda text: len(runtime.encode(text)))
        return evaluate_anybody(spec, answer, ctx)
    finally:
        runtime.close()


def evaluate(spec: EvaluateSpec, generate: Generate, ctx: StageContext) -> StageResult:
    """`evaluate_anybody` for a model that is no more than a function from chats to answers."""

    def answer(situations: Sequence[Situation]) -> Sequence[str]:
        return generate([chat_of(spec.agent, one) for one in situations])

    return evaluate_anybody(spec, answer, ctx)


def evaluate_anybody(spec: EvaluateSpec, answer: Answerer, ctx: StageContext) -> StageResult:
    """Let anybody act on the tasks of a split; write `episodes.jsonl`, one episode a line with every step.

    Raises DataError when the split does not have so many tasks.
    """
    episodes = play(spec.agent, _tasks(spec, ctx.seed), answer, batch=spec.batch, progress=ctx.progress)
    records = [recorded(spec.agent, number, episode, answer) for number, episode in enumerate(episodes)]
    with (ctx.out / EPISODES_NAME).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records)
    return StageResult(measures(records), {"split": spec.split, **_notes(records)})


def _tasks(spec: EvaluateSpec, seed: int) -> Sequence[Task]:
    return choosing.choose_tasks(open_environment(spec.agent), spec.split, spec.templates, spec.tasks, seed)


def _notes(records: Sequence[EpisodeRecord]) -> dict[str, Any]:
    """How episodes ended, and successes by template, app and length of the expert's way."""
    return {
        "ended": dict(sorted(Counter(record.ended for record in records).items())),
        "by_template": _successes("template", records, lambda record: record.template),
        "by_app": _successes("app", records, lambda record: record.app),
        "by_length": [
            {"length": group.name, "n": len(group.records), "successes": sum(one.success for one in group.records)}
            for group in groups(records)
            if group.by == "length"
        ],
    }


def _successes(
    name: str, records: Iterable[EpisodeRecord], key: Callable[[EpisodeRecord], str]
) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter()
    won: Counter[str] = Counter()
    for record in records:
        counts[key(record)] += 1
        won[key(record)] += record.success
    return [{name: group, "n": count, "successes": won[group]} for group, count in sorted(counts.items())]

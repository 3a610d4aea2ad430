"""The stage `evaluate`: success on held-out tasks, decided by the state of the world, never by the text.

The metrics are AndroidLab's (arXiv 2410.24024): success rate, sub-goal rate, and how few steps were needed. Not
covered: ROR, which compares screenshots, and a judge that is a model.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from statistics import mean
from typing import Any

from zoo.actions import write
from zoo.agent import Answerer, Chat, Episode, Generate, expert_answers, open_environment, play, run_episodes
from zoo.environments import Task
from zoo.errors import DataError
from zoo.metrics import rate
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import AgentSpec, EvaluateSpec
from zoo.serving import Runtime, open_torch

__all__ = ["EPISODES_NAME", "evaluate", "evaluate_anybody", "run"]

EPISODES_NAME = "episodes.jsonl"


def run(spec: EvaluateSpec, ctx: StageContext) -> StageResult:
    """Let the model at `ctx.inputs["model"]` act on the tasks. See `evaluate`."""
    runtime = open_torch(ctx.inputs["model"], ctx.device, spec.dtype)
    try:
        return evaluate(spec, partial(_generate, runtime, spec.agent.answer_tokens), ctx)
    finally:
        runtime.close()


def evaluate(spec: EvaluateSpec, generate: Generate, ctx: StageContext) -> StageResult:
    """Let a model act on the tasks of a split; write `episodes.jsonl`, one episode a line with every step.

    Raises DataError when the split does not have so many tasks.
    """
    tasks = _tasks(spec, ctx.seed)
    return _judged(spec, run_episodes(spec.agent, tasks, generate, batch=spec.batch, progress=ctx.progress), ctx)


def evaluate_anybody(spec: EvaluateSpec, answer: Answerer, ctx: StageContext) -> StageResult:
    """`evaluate` for whoever is no model: `zoo.agent.expert_answers`, `zoo.agent.random_answers`."""
    tasks = _tasks(spec, ctx.seed)
    return _judged(spec, play(spec.agent, tasks, answer, batch=spec.batch, progress=ctx.progress), ctx)


def _generate(runtime: Runtime, answer_tokens: int, chats: Sequence[Chat]) -> list[str]:
    return [generation.text for generation in runtime.generate(chats, max_new_tokens=answer_tokens)]


def _tasks(spec: EvaluateSpec, seed: int) -> Sequence[Task]:
    try:
        return open_environment(spec.agent).draw_tasks(spec.split, spec.tasks, seed)
    except ValueError as error:
        raise DataError(f"evaluate: `tasks: {spec.tasks}` is too many: {error}") from error


def _judged(spec: EvaluateSpec, episodes: Sequence[Episode], ctx: StageContext) -> StageResult:
    with (ctx.out / EPISODES_NAME).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_plain(episode), ensure_ascii=False) + "\n" for episode in episodes)
    ended = Counter(episode.ended for episode in episodes)
    notes = {"split": spec.split, "ended": dict(sorted(ended.items())), "by_template": _by_template(episodes)}
    return StageResult(_metrics(spec.agent, episodes), notes)


def _metrics(agent: AgentSpec, episodes: Sequence[Episode]) -> dict[str, Metric]:
    steps = [step for episode in episodes for step in episode.steps]
    won = [episode for episode in episodes if episode.success]
    metrics = {
        "success_rate": rate(len(won), len(episodes)),
        "sub_goal_rate": Metric(mean(map(_sub_goal_share, episodes)), n=len(episodes)),
        "valid_action_rate": rate(sum(step.action is not None for step in steps), len(steps)),
        "steps_per_episode": Metric(len(steps) / len(episodes), "steps", n=len(episodes)),
        "seconds_per_step": Metric(mean(step.seconds for step in steps), "s", n=len(steps)),
    }
    if won:
        metrics["reversed_redundancy"] = Metric(_reversed_redundancy(agent, won), "%", n=len(won))
    return metrics


def _sub_goal_share(episode: Episode) -> float:
    """AndroidLab's Sub-SR of one task: the share of its sub-goals, 1 when it is completed."""
    return 1.0 if episode.success else sum(episode.sub_goals) / len(episode.sub_goals)


def _reversed_redundancy(agent: AgentSpec, won: Sequence[Episode]) -> float:
    """AndroidLab's RRR: 100 times the mean, over completed tasks, of the expert's steps over the agent's.

    The expert stands where AndroidLab has a human; it takes the shortest way, so 100 is the most there is.
    """
    experts = play(agent, [episode.task for episode in won], expert_answers(agent), batch=len(won))
    pairs = zip(experts, won, strict=True)
    return 100 * mean(len(expert.steps) / len(episode.steps) for expert, episode in pairs)


def _by_template(episodes: Iterable[Episode]) -> list[dict[str, Any]]:
    groups: dict[str, list[Episode]] = defaultdict(list)
    for episode in episodes:
        groups[episode.task.template].append(episode)
    return [
        {"template": template, "n": len(group), "successes": sum(episode.success for episode in group)}
        for template, group in sorted(groups.items())
    ]


def _plain(episode: Episode) -> dict[str, Any]:
    """One line of `episodes.jsonl`."""
    task = episode.task
    steps = [{**asdict(step), "action": write(step.action) if step.action else None} for step in episode.steps]
    return {
        "task": task.id,
        "template": task.template,
        "kind": task.kind,
        "instruction": task.instruction,
        "success": episode.success,
        "sub_goals": list(episode.sub_goals),
        "ended": episode.ended,
        "steps": steps,
    }

"""What can be wrong with the scores of a sweep: a metric that its stage does not measure, or where less is better.

A mistyped name would otherwise be found when every merge was made and scored. Known here are the metrics of the stages
`evaluate` and `probe` (a test holds the table against what they measure); those of others depend on files.
"""

from collections.abc import Callable, Iterator

from zoo.errors import Problem, did_you_mean
from zoo.refs import Ref, StageRef
from zoo.schema import ChooseSpec, Recipe
from zoo.source import Place

__all__ = ["MORE_IS_BETTER", "OTHERS", "problems"]

Where = Callable[[Place], str]
MORE_IS_BETTER: dict[str, tuple[str, ...]] = {
    "evaluate": ("success_rate", "sub_goal_rate", "valid_action_rate", "reasonable_operations"),
    "probe": ("accuracy",),
}
"""Kind of stage -> the metrics that can be a score, the usual one first."""
OTHERS: dict[str, tuple[str, ...]] = {
    "evaluate": (
        "steps_per_episode", "seconds_per_step", "tokens_per_step", "prompt_tokens_per_step", "error_rate",
        "reversed_redundancy",
    ),
    "probe": (
        "general_perplexity", "general_loss", "own_perplexity", "own_loss", "drop", "general_perplexity_ratio",
        "own_perplexity_ratio",
    ),
}  # fmt: skip
"""Kind of stage -> the metrics that cannot: less is better, or there is none where nothing was solved."""


def problems(recipe: Recipe, where: Where) -> Iterator[Problem]:
    """Everything that is wrong with the metrics of the choices of a recipe whose references are all right."""
    for name, spec in recipe.stages.items():
        if isinstance(spec, ChooseSpec):
            for key, metric, scores in (
                ("general_metric", spec.general_metric, (*spec.general, spec.general_whole)),
                ("specialist_metric", spec.specialist_metric, (*spec.specialist, spec.specialist_whole)),
            ):
                for kind in dict.fromkeys(_kinds(recipe, scores)):
                    yield from _unfit(where(("stages", name, key)), f"{name}: {key}", metric, kind)


def _kinds(recipe: Recipe, scores: tuple[Ref, ...]) -> Iterator[str]:
    for ref in scores:
        if isinstance(ref, StageRef):
            yield recipe.stages[ref.name].kind


def _unfit(spot: str, shown: str, metric: str, kind: str) -> Iterator[Problem]:
    fitting = MORE_IS_BETTER.get(kind)
    if fitting is None or metric in fitting:
        return
    if metric in OTHERS[kind]:
        what = f"{shown} is {metric!r}, and a score is what every {kind} stage measures and more of which is better"
        yield Problem(spot, what, f"take {' or '.join(fitting)}")
    else:
        what = f"{shown} is {metric!r}, which no {kind} stage measures"
        yield Problem(spot, what, did_you_mean(metric, list(fitting)))

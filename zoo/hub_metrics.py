"""The measures of an agent as `evaluate.Metric` classes, to be used from the installed package without a network.

`evaluate.load("...")` asks the Hub even for its own metrics; a class needs no Hub: `SuccessRate().compute(...)`,
`evaluate.combine([SubGoalRate(), ...])`. The formulas are those of `zoo.metrics` and `zoo.playground.scores`.

Needs the extra `eval`. Not covered: `evaluate.evaluator`, which does not run on transformers 5.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import mean
from typing import Any

import datasets
import evaluate

from zoo.actions import parse, same
from zoo.metrics import average, rate
from zoo.records import Metric

__all__ = ["ActionAccuracy", "ReasonableOperations", "ReversedRedundancy", "SubGoalRate", "SuccessRate"]

_CITATION = "Xu et al., AndroidLab: Training and Systematic Benchmarking of Android Autonomous Agents, arXiv 2410.24024"


def _info(description: str, **features: Any) -> Any:
    return evaluate.MetricInfo(
        module_type="metric",
        description=description,
        citation=_CITATION,
        inputs_description=", ".join(features),
        features=datasets.Features(features),
    )


def _result(name: str, metric: Metric) -> dict[str, float | int | None]:
    return {name: metric.value, "n": metric.n, "low95": metric.low, "high95": metric.high}


class SuccessRate(evaluate.Metric):  # type: ignore[misc]  # evaluate is untyped here
    """Share of episodes whose task was completed, with Wilson's 95 % interval.

    >>> SuccessRate().compute(predictions=[True, False])["success_rate"]
    0.5
    """

    def _info(self) -> Any:
        return _info("AndroidLab's SR.", predictions=datasets.Value("bool"))

    def _compute(self, predictions: Sequence[bool]) -> dict[str, Any]:
        return _result("success_rate", rate(sum(predictions), len(predictions)))


class SubGoalRate(evaluate.Metric):  # type: ignore[misc]
    """Mean share of sub-goals reached: `predictions` how many, `references` of how many."""

    def _info(self) -> Any:
        number = datasets.Value("int32")
        return _info("AndroidLab's Sub-SR.", predictions=number, references=number)

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, Any]:
        shares = [reached / of for reached, of in zip(predictions, references, strict=True)]
        return _result("sub_goal_rate", average(shares))


class ReversedRedundancy(evaluate.Metric):  # type: ignore[misc]
    """Mean of 100 times a reference's steps (`references`) over the agent's (`predictions`); completed tasks only."""

    def _info(self) -> Any:
        number = datasets.Value("int32")
        return _info("AndroidLab's RRR, in percent.", predictions=number, references=number)

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, Any]:
        shares = [100 * known / taken for taken, known in zip(predictions, references, strict=True)]
        return _result("reversed_redundancy", average(shares, "%"))


class ReasonableOperations(evaluate.Metric):  # type: ignore[misc]
    """Mean share, in percent, of steps after which the screen was another one: each prediction is one episode's
    screens in order. Episodes of fewer than two screens are left out."""

    def _info(self) -> Any:
        return _info("AndroidLab's ROR, in percent.", predictions=datasets.Sequence(datasets.Value("string")))

    def _compute(self, predictions: Sequence[Sequence[str]]) -> dict[str, Any]:
        shares = [100 * mean(a != b for a, b in pairwise(screens)) for screens in predictions if len(screens) > 1]
        return _result("reasonable_operations", average(shares, "%"))


class ActionAccuracy(evaluate.Metric):  # type: ignore[misc]
    """Share of answers that call the same function with the same arguments; what cannot be read equals nothing.

    >>> ActionAccuracy().compute(predictions=["tap(index=3)"], references=["tap(3)"])["action_accuracy"]
    1.0
    """

    def _info(self) -> Any:
        text = datasets.Value("string")
        return _info("OpenPhone's accuracy term, on calls as data.", predictions=text, references=text)

    def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        pairs = zip(predictions, references, strict=True)
        hits = sum(same(parse(said), parse(right)) for said, right in pairs)
        return _result("action_accuracy", rate(hits, len(predictions)))

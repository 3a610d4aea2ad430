import socket

import evaluate
import pytest

from zoo.hub_metrics import ActionAccuracy, ReasonableOperations, ReversedRedundancy, SubGoalRate, SuccessRate
from zoo.metrics import rate


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a metric asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def test_the_success_rate_is_the_one_of_every_other_table():
    found = SuccessRate().compute(predictions=[True, True, False])
    expected = rate(2, 3)
    assert found == {"success_rate": expected.value, "n": 3, "low95": expected.low, "high95": expected.high}


def test_sub_goals_redundancy_and_reasonable_operations_are_counted_by_hand():
    assert SubGoalRate().compute(predictions=[1, 3], references=[2, 3])["sub_goal_rate"] == 0.75
    assert ReversedRedundancy().compute(predictions=[4, 2], references=[2, 2])["reversed_redundancy"] == 75.0
    screens = [["a", "b", "b"], ["a", "a"], ["a"]]
    assert ReasonableOperations().compute(predictions=screens)["reasonable_operations"] == 25.0


def test_actions_are_compared_as_data_and_what_is_unreadable_equals_nothing():
    said = ["<CALLED_FUNCTION>tap(index=3)</CALLED_FUNCTION>", "tap(4)", "?"]
    assert ActionAccuracy().compute(predictions=said, references=["tap(3)", "tap(3)", "?"])["action_accuracy"] == 1 / 3


def test_metrics_may_be_fed_in_batches_and_combined():
    metric = SuccessRate()
    metric.add_batch(predictions=[True, False])
    metric.add_batch(predictions=[False, False])
    assert metric.compute()["success_rate"] == 0.25
    both = evaluate.combine([SubGoalRate(), ReversedRedundancy()])
    assert {"sub_goal_rate", "reversed_redundancy"} <= set(both.compute(predictions=[1, 2], references=[2, 2]))

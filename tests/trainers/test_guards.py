"""Runs that have gone wrong are told from their history, and stop with the last good checkpoint named."""

from pathlib import Path
from typing import Any

import pytest
from training_rows import Context, Rows

from zoo import registry
from zoo.errors import ModelError
from zoo.schema import GRPOSpec, GuardSpec
from zoo.trainers import grpo
from zoo.trainers.guards import alarm, collapsed, diverged, first_alarm, hacked

GUARD = GuardSpec(window=2)


def history(**series: list[float]) -> list[dict[str, Any]]:
    names = {"form": "rewards/form/mean", "action": "rewards/action/mean"}
    rows = zip(*series.values(), strict=True)
    return [
        {"step": step, "entropy": 1.0, "reward": 0.5, **{names.get(k, k): v for k, v in zip(series, row, strict=True)}}
        for step, row in enumerate(rows, 1)
    ]


def test_a_policy_that_always_says_the_same_and_gained_nothing_is_stopped() -> None:
    found = collapsed(history(entropy=[1.0, 1.0, 0.01, 0.01], reward=[0.5] * 4), GUARD)
    assert found and found.stops and found.since == 3
    assert "entropy collapsed: 0.01 nats over the last 2 steps, 1 at the start" in found.what


@pytest.mark.parametrize(
    "series",
    [
        {"entropy": [1.0, 1.0, 0.01, 0.5], "reward": [0.5] * 4},
        {"entropy": [1.0, 1.0, 0.01, 0.01], "reward": [0.5, 0.5, 0.9, 0.9]},
        {"entropy": [1.0, 0.01, 0.01], "reward": [0.5] * 3},
    ],
    ids=["only once", "with a higher reward", "before there are two windows"],
)
def test_a_low_entropy_alone_stops_nothing(series: dict[str, list[float]]) -> None:
    assert collapsed(history(**series), GUARD) is None


def test_a_reward_that_is_lost_is_a_divergence_even_after_a_rise() -> None:
    rewards = [0.5, 0.52, 0.9, 0.9, 0.3, 0.3]
    found = diverged(history(reward=rewards), GUARD)
    assert found and found.stops and found.since == 5
    assert "fell from 0.9 to 0.3" in found.what
    assert diverged(history(reward=rewards), GuardSpec(window=2, reward_fall=1)) is None
    assert diverged(history(reward=rewards), GuardSpec(window=2, reward_fall=0.7)) is None


def test_noise_about_the_start_is_no_divergence() -> None:
    assert diverged(history(reward=[0.1, 0.5, 0.9, 0.1, 0.1, 0.2]), GUARD) is None
    assert diverged(history(reward=[0.9, 0.9, 0.7, 0.7]), GUARD) is None


def test_a_reward_that_rises_while_success_falls_is_an_alarm() -> None:
    series = {"success": [0.6, 0.6, 0.3, 0.3], "form": [0.1, 0.1, 0.8, 0.8]}
    found = hacked(history(**series), GUARD)
    assert found and not found.stops
    assert "the reward 'form' rises (0.1 to 0.8 over 2 steps) while success falls (0.6 to 0.3)" in found.what
    assert first_alarm(history(**series), GUARD) == {"rule": "hacking", "since": 3, "what": found.what}
    stopping = hacked(history(**series), GuardSpec(window=2, hacking="stop"))
    assert stopping and stopping.stops
    assert hacked(history(**series), GuardSpec(window=2, hacking="off")) is None


def test_on_logged_steps_the_right_action_is_success() -> None:
    found = hacked(history(action=[0.6, 0.6, 0.3, 0.3], form=[0.1, 0.1, 0.8, 0.8]), GUARD)
    assert found and "while rewards/action/mean falls" in found.what


@pytest.mark.parametrize(
    "series",
    [
        {"success": [0.3, 0.3, 0.6, 0.6], "form": [0.1, 0.1, 0.8, 0.8]},
        {"success": [0.6, 0.6, 0.3, 0.3], "form": [0.8, 0.8, 0.1, 0.1]},
        {"form": [0.1, 0.1, 0.8, 0.8]},
    ],
    ids=["both rise", "both fall", "nothing says success"],
)
def test_what_goes_together_is_no_alarm(series: dict[str, list[float]]) -> None:
    assert hacked(history(**series), GUARD) is None


def test_steps_on_which_nothing_was_trained_say_nothing() -> None:
    quiet = history(entropy=[1.0, 1.0, 0.0, 0.0], reward=[0.5] * 4)
    assert alarm(quiet, GUARD)
    assert alarm([*quiet[:2], *[{**entry, "samples/trained": 0} for entry in quiet[2:]]], GUARD) is None


def test_a_run_that_loses_its_reward_stops_and_names_the_last_good_checkpoint(
    tiny_llama: Path, rows: Rows, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.REWARDS, "fading", "toy_rewards:Fading")
    trl = {
        "max_steps": 20, "per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 4,
    }  # fmt: skip
    spec = GRPOSpec(
        model="a/b", data="stage:rows", dtype="float32", save_dtype="float32", checkpoint_steps=1, trl=trl,
        rewards=({"name": "fading"},), guard=GuardSpec(window=2),
    )  # fmt: skip
    ctx = context(tiny_llama, rows())
    with pytest.raises(ModelError, match=r"step 6: training diverged: .*the last good checkpoint is .*checkpoint-4"):
        grpo.run(spec, ctx)
    assert not (ctx.out / "model.safetensors").exists()

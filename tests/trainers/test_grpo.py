"""GRPO on a tiny model that half knows the answer: rewards rise, and the record shows each of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_rows import Context, Rows

from zoo import checkpoint
from zoo.schema import GRPOSpec
from zoo.trainers import grpo


def spec(**changes: Any) -> GRPOSpec:
    trl = {
        "max_steps": 4, "per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 48,
        "learning_rate": 1e-3, **changes.pop("trl", {}),
    }  # fmt: skip
    usual = {"dtype": "float32", "save_dtype": "float32", "checkpoint_steps": 2}
    return GRPOSpec(model="a/b", data="stage:rows", trl=trl, **{**usual, **changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_rewards_are_in_the_record_one_by_one(taught_llama: Path, rows: Rows, context: Context) -> None:
    ctx = context(taught_llama, rows())
    result = grpo.run(spec(), ctx)
    history = result.notes["history"]
    assert [point["step"] for point in history] == [1, 2, 3, 4]
    for point in history:
        assert point["reward"] == pytest.approx(point["rewards/action/mean"] + point["rewards/format/mean"])
        assert point["clip_ratio/low_mean"] == point["clip_ratio/high_mean"] == 0, "answers are used once"
        assert 1 <= point["completions/mean_length"] <= 48 and 0 <= point["completions/clipped_ratio"] <= 1
        assert point["group_spread"] <= 2.0, "the two rewards are worth 1 each at most"
    told = [json.loads(line) for line in (ctx.out / "history.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in told] == [1, 2, 3, 4] and not any("samples_per_second" in line for line in told)
    assert result.metrics["reward_start"].value == history[0]["reward"]
    assert result.metrics["reward_end"].value == history[-1]["reward"]
    assert {"reward_action_start", "reward_action_end", "reward_format_end"} <= result.metrics.keys()
    assert any(point["reward_std"] > 0 for point in history), "a policy whose answers are all alike shows nothing"
    before, after = weights(taught_llama), weights(ctx.out)
    assert before.keys() == after.keys()
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_a_reward_is_weighted_by_the_recipe(taught_llama: Path, rows: Rows, context: Context) -> None:
    weighted = ({"name": "format", "weight": 2.0, "options": {"called": 1.0}}, {"name": "action", "weight": 0.5})
    result = grpo.run(spec(rewards=weighted, trl={"max_steps": 1}), context(taught_llama, rows()))
    [point] = result.notes["history"]
    assert point["reward"] == pytest.approx(2 * point["rewards/format/mean"] + 0.5 * point["rewards/action/mean"])


@pytest.mark.slow
def test_what_is_rewarded_becomes_more_likely(taught_llama: Path, rows: Rows, context: Context) -> None:
    trl = {
        "max_steps": 100, "per_device_train_batch_size": 64, "num_generations": 8, "lr_scheduler_type": "constant"
    }  # fmt: skip
    result = grpo.run(spec(rewards=({"name": "format"},), trl=trl), context(taught_llama, rows(40)))
    assert result.metrics["reward_end"].value > result.metrics["reward_start"].value + 0.15


def test_an_adapter_is_trained_against_its_own_base(taught_llama: Path, rows: Rows, context: Context) -> None:
    ctx = context(taught_llama, rows())
    lora = {"r": 4, "target_modules": ["q_proj", "v_proj"]}
    grpo.run(spec(lora=lora, trl={"beta": 0.01, "max_steps": 2}), ctx)
    before, after = weights(taught_llama), weights(ctx.out)
    moved = sorted(name for name in before if not torch.equal(before[name], after[name]))
    assert len(moved) == 4 and all(name.endswith(("q_proj.weight", "v_proj.weight")) for name in moved)


def test_images_reach_the_policy(tiny_vlm: Path, rows: Rows, context: Context) -> None:
    ctx = context(tiny_vlm, rows(4, images=True))
    trl = {"max_steps": 2, "per_device_train_batch_size": 2, "num_generations": 2, "max_completion_length": 8}
    result = grpo.run(spec(trl=trl, freeze=("model.visual",)), ctx)
    # 32 image tokens a prompt: without the screenshot a prompt and its answer would have half as many.
    assert result.metrics["tokens"].value / 4 > 60
    assert checkpoint.tensors(ctx.out).keys() == checkpoint.tensors(tiny_vlm).keys()

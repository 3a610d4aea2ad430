"""A run that is killed at any instant, and started again, ends with the bits of one that was not."""

import random
from pathlib import Path
from typing import Any

import pytest
from killed import Kill, Run, killed, uninterrupted
from training_rows import phone_row, write_rows

AT_THE_END = 1000
LORA = {"r": 4, "target_modules": "all-linear", "lora_dropout": 0.1}
STEADY = {"per_device_train_batch_size": 4, "learning_rate": 1e-2, "lr_scheduler_type": "constant"}
UNSIZED = {"learning_rate": 1e-2, "lr_scheduler_type": "cosine", "neftune_noise_alpha": 5.0}
GROUPS = {**STEADY, "num_generations": 4, "max_completion_length": 24, "learning_rate": 1e-3}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "sft of all weights": ("sft", {"trl": {**STEADY, "max_steps": 6}}),
    "sft of an adapter": ("sft", {"lora": LORA, "trl": {**STEADY, "num_train_epochs": 1}}),
    "sft with muon": (
        "sft",
        {"optimizer": {"name": "muon", "learning_rate": 2e-2}, "global_batch": 4, "trl": {**UNSIZED, "max_steps": 6}},
    ),
    "grpo of all weights": ("grpo", {"trl": {**GROUPS, "max_steps": 5, "beta": 0.01}}),
    "grpo with answers used twice": (
        "grpo",
        {"lora": LORA, "trl": {**GROUPS, "max_steps": 6, "steps_per_generation": 2}},
    ),
    "grpo with groups sampled again": (
        "grpo",
        {"dynamic_sampling": {"rounds": 2}, "denoise": {"balance": True}, "trl": {**GROUPS, "max_steps": 5}},
    ),
    "grpo on episodes": (
        "grpo",
        {
            "environment": {"tasks": 6, "samples": 1},
            "agent": {"style": "terse", "observation": "terse", "rounds": 2, "answer_tokens": 16},
            "rewards": [{"name": "success"}, {"name": "readable"}],
            "dynamic_sampling": {"rounds": 1},
            "denoise": {"spread": 0.0, "signed": False},
            "trl": {name: value for name, value in GROUPS.items() if name != "max_completion_length"}
            | {"max_steps": 5},
        },
    ),
    "grpo beside a world model": (
        "grpo",
        {
            "environment": {"tasks": 6, "samples": 1},
            "agent": {"style": "terse", "observation": "terse", "rounds": 2, "answer_tokens": 16},
            "rewards": [{"name": "readable"}],
            "lora": LORA,
            "world_model": {"adapters": "together", "learning_rate": 1e-2, "samples": 1},
            "trl": {name: value for name, value in GROUPS.items() if name != "max_completion_length"}
            | {"max_steps": 5},
        },
    ),
}


@pytest.fixture
def begin(tmp_path: Path, taught_llama: Path) -> Any:
    data = write_rows(tmp_path / "data", [phone_row(number) for number in range(24)])

    def make(case: str, name: str) -> Run:
        kind, settings = CASES[case]
        usual = {"kind": kind, "model": "a/b", "checkpoint_steps": 2, "dtype": "float32", "save_dtype": "float32"}
        usual |= {} if "environment" in settings else {"data": "stage:rows"}
        return Run(kind, {**usual, **settings}, tmp_path / name, {"model": taught_llama, "data": data})

    return make


def test_kills_around_a_checkpoint_change_nothing(begin: Any) -> None:
    expected = uninterrupted(begin("sft of all weights", "whole"))
    kills = [Kill(3), Kill(4, 0.03), Kill(5, 0.01), Kill(AT_THE_END)]
    outcome, left = killed(begin("sft of all weights", "killed"), kills)
    assert outcome == expected
    assert left[0] in ("checkpoint-2", "checkpoint-4") and "checkpoint-4" in left and left[-1] == "checkpoint-6"


@pytest.mark.parametrize("case", [case for case in CASES if case != "sft of all weights"])
def test_a_kill_amid_the_steps_changes_nothing(begin: Any, case: str) -> None:
    """What takes minutes, more kills of every case, is `test_twenty_kills_at_random_instants_change_nothing`."""
    expected = uninterrupted(begin(case, "whole"))
    outcome, left = killed(begin(case, "killed"), [Kill(3, 0.01)])
    assert outcome == expected
    assert left[0] in ("checkpoint-2", "checkpoint-4"), "whoever kills may be late on a busy machine"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_twenty_kills_at_random_instants_change_nothing(begin: Any, case: str) -> None:
    expected = uninterrupted(begin(case, "whole"))
    draw = random.Random(case)
    for round_number in range(5):
        steps = sorted(draw.randint(0, 5) for _ in range(4))
        kills = [Kill(step, draw.uniform(0.0, 0.15)) for step in steps]
        outcome, _ = killed(begin(case, f"killed-{round_number}"), kills)
        assert outcome == expected, kills

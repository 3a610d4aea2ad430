"""A distillation that is killed at any instant, and started again, ends with the bits of one that was not."""

from pathlib import Path
from typing import Any

import pytest
from killed import Kill, Run, killed, uninterrupted
from training_rows import phone_row, write_rows

AT_THE_END = 1000
LORA = {"r": 4, "target_modules": "all-linear", "lora_dropout": 0.1}
STEADY = {"per_device_train_batch_size": 4, "learning_rate": 1e-2, "lr_scheduler_type": "constant", "max_steps": 6}
AGENT = {"style": "terse", "observation": "terse", "rounds": 2, "answer_tokens": 16}
CASES: dict[str, dict[str, Any]] = {
    "rows and answers of its own": {
        "lora": LORA, "lmbda": 0.5, "rollouts": {"answer_tokens": 8},
        "trl": {**STEADY, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2},
    },
    "its own episodes": {
        "lmbda": 0.7, "loss": "reverse", "agent": AGENT, "rollouts": {"source": "world", "rounds": 3, "tasks": 2},
        "trl": STEADY,
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_few_kills_change_nothing(tmp_path: Path, tiny_llama: Path, taught_llama: Path, case: str) -> None:
    data = write_rows(tmp_path / "data", [phone_row(number) for number in range(24)])
    inputs = {"model": tiny_llama, "data": data, "teacher": taught_llama}
    usual = {"kind": "distill", "model": "a/b", "teacher": "a/c", "data": "stage:rows", "checkpoint_steps": 2}
    usual |= {"dtype": "float32", "save_dtype": "float32"}

    def begin(name: str) -> Run:
        return Run("distill", {**usual, **CASES[case]}, tmp_path / name, inputs)

    expected = uninterrupted(begin("whole"))
    outcome, left = killed(begin("killed"), [Kill(3, 0.02), Kill(AT_THE_END)])
    assert outcome == expected
    assert left[0] in ("checkpoint-2", "checkpoint-4") and left[-1] == "checkpoint-6"

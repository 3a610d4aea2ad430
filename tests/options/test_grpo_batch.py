"""The arithmetic of GRPO's batch is TRL's own, known before anything runs."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from zoo.options import check, grpo_batch, grpo_batch_problem, grpo_rows_problem


def test_the_batch_is_the_one_that_trl_derives(tmp_path: Path) -> None:
    from trl import GRPOConfig

    sizes = itertools.product((2, 4), (1, 2, 3), (2, 3, 4), (None, 2), (None, 12))
    compared = 0
    for per_device, accumulation, group, steps, batch in sizes:
        options: dict[str, Any] = {
            "per_device_train_batch_size": per_device, "gradient_accumulation_steps": accumulation,
            "num_generations": group, "steps_per_generation": steps, "generation_batch_size": batch,
        }  # fmt: skip
        try:
            theirs = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **options).generation_batch_size
        except ValueError:
            assert grpo_batch_problem(options), options
        else:
            assert grpo_batch(options).completions == theirs, options
            compared += 1
    assert compared == 42  # of 72; TRL refuses the others


def test_a_group_of_one_has_no_advantage() -> None:
    assert "at least 2" in str(grpo_batch_problem({"num_generations": 1}))


def test_a_recipe_learns_of_a_batch_that_does_not_divide() -> None:
    [problem] = check("trl.GRPOConfig", {"num_generations": 3})
    assert problem.path == "num_generations" and "no multiple of num_generations 3" in problem.message


@pytest.mark.parametrize(
    ("rows", "more", "words"),
    [
        (8, {}, ""),
        (9, {}, "write `limit: 8`"),
        (9, {"max_steps": 5}, ""),
        (1, {"max_steps": 5}, "takes 2 prompts"),
    ],
)
def test_rows_that_trl_would_leave_out_in_silence_are_told(rows: int, more: dict[str, int], words: str) -> None:
    problem = grpo_rows_problem({"per_device_train_batch_size": 8, "num_generations": 4, **more}, rows)
    assert words in problem if words and problem else problem is None

"""Sizes of a policy's trainer that do not go together with several processes, refused before anything is sampled."""

from typing import Any

from zoo.errors import ModelError

__all__ = ["refuse_calls_out_of_step", "refuse_split_groups"]


def refuse_split_groups(trainer: Any) -> None:
    """Each process has whole groups, where what they teach is decided here. Raises ModelError."""
    local = trainer.args.per_device_train_batch_size * trainer.args.steps_per_generation
    ours = trainer.spec.environment or trainer.spec.denoise or trainer.spec.dynamic_sampling
    if ours and local % trainer.num_generations:
        raise ModelError(
            f"each process generates {local} answers, and groups of num_generations {trainer.num_generations} would "
            "be split over processes; write sizes whose product is a multiple of it"
        )


def refuse_calls_out_of_step(trainer: Any) -> None:
    """Episodes of two processes are not equally long, and these would wait for each other's calls for ever.

    Raises ModelError.
    """
    together = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled or trainer.use_vllm
    if trainer.spec.environment and trainer.accelerator.num_processes > 1 and together:
        raise ModelError(
            "an environment over several processes needs each to hold the whole model, without vLLM; launch one "
            "process, or leave FSDP, DeepSpeed, use_vllm and endpoint out"
        )

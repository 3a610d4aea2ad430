"""GRPO's batch in numbers: it counts completions, not prompts, and TRL drops an incomplete last one in silence."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import lcm
from typing import Any

from zoo.options.tables import read

__all__ = ["GRPOBatch", "grpo_batch", "grpo_batch_problem", "grpo_checkpoint_problem", "grpo_rows_problem"]


@dataclass(frozen=True)
class GRPOBatch:
    """What is generated at once, before the optimizer steps that use it."""

    completions: int
    prompts: int
    """Each answered `completions / prompts` times."""


def grpo_batch(options: Mapping[str, Any], processes: int = 1) -> GRPOBatch:
    """The generation batch that TRL's GRPOConfig derives from its options.

    Raises ValueError, saying what to write, when they do not fit together.

    >>> grpo_batch({"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "num_generations": 4})
    GRPOBatch(completions=8, prompts=2)
    """
    value = _with_defaults(options)
    group, step = value("num_generations"), value("per_device_train_batch_size") * processes
    completions, steps = value("generation_batch_size"), value("steps_per_generation")
    if group < 2:
        raise ValueError(f"num_generations is {group}, and an advantage compares at least 2 answers; write 2 or more")
    if completions is not None and steps is not None:
        raise ValueError("generation_batch_size and steps_per_generation say the same thing twice; keep one")
    if completions is not None and completions % step:
        raise ValueError(f"generation_batch_size {completions} is not a multiple of the {step} answers of one step")
    if completions is None:
        completions = step * (steps if steps is not None else value("gradient_accumulation_steps"))
    if completions % group:
        raise ValueError(
            f"{completions} answers are generated at once (per_device_train_batch_size x steps_per_generation, which "
            f"is gradient_accumulation_steps unless set), and that is no multiple of num_generations {group}; "
            f"write sizes whose product is a multiple of {group}"
        )
    return GRPOBatch(completions, completions // group)


def grpo_batch_problem(options: Mapping[str, Any], processes: int = 1) -> str | None:
    """What is wrong with the sizes in GRPO's options, or None."""
    try:
        grpo_batch(options, processes)
    except ValueError as error:
        return str(error)
    return None


def grpo_rows_problem(options: Mapping[str, Any], rows: int, processes: int = 1) -> str | None:
    """What is wrong with a number of rows, or None: TRL leaves out those of an incomplete last batch and says nothing.

    With `max_steps` the rows are gone over until the steps are done, so that only too few for one batch are wrong.
    """
    prompts = grpo_batch(options, processes).prompts
    steps_are_given = _with_defaults(options)("max_steps") > 0
    whole = rows - rows % prompts
    if rows < prompts:
        return f"there are {rows} rows, and one batch takes {prompts} prompts; add rows or make the batch smaller"
    if rows != whole and not steps_are_given:
        return (
            f"there are {rows} rows and a batch takes {prompts} prompts, so that {rows - whole} would be left out in "
            f"every epoch; write `limit: {whole}` in the data stage, or give `max_steps`"
        )
    return None


def grpo_checkpoint_problem(options: Mapping[str, Any], checkpoint_steps: int, processes: int = 1) -> str | None:
    """What is wrong with the steps between checkpoints, or None.

    Answers that are used by several optimizer steps are in no checkpoint: a run that goes on from between such steps
    would generate them anew, and end elsewhere than one that was not interrupted.
    """
    value = _with_defaults(options)
    step = value("per_device_train_batch_size") * processes
    uses = grpo_batch(options, processes).completions // step * value("num_iterations")
    per_step = value("gradient_accumulation_steps")
    if checkpoint_steps * per_step % uses == 0:
        return None
    cycle = lcm(uses, per_step) // per_step
    return (
        f"answers are generated anew every {cycle} optimizer steps, and a checkpoint every {checkpoint_steps} would "
        f"lose those in use; write a `checkpoint_steps` that is a multiple of {cycle}"
    )


def _with_defaults(options: Mapping[str, Any]) -> Any:
    defaults = read("trl")["GRPOConfig"]
    return lambda name: options.get(name, defaults[name]["default"])

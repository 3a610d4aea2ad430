"""TRL's, peft's and mergekit's own options, checked in milliseconds against tables of their own classes.

Importing the classes themselves would cost seconds and torch, which `recipes check` and `plan` do without. The tables
beside this file are written from the classes (`python -m zoo.options.tables`) and a test compares them.
"""

from collections.abc import Mapping
from typing import Any

from zoo.options.fields import check_fields
from zoo.options.grpo_batch import (
    GRPOBatch,
    grpo_batch,
    grpo_batch_problem,
    grpo_checkpoint_problem,
    grpo_rows_problem,
)
from zoo.options.merging import check_mergekit
from zoo.options.problem import OptionProblem
from zoo.options.tables import version_problems

__all__ = [
    "LIBRARIES",
    "GRPOBatch",
    "OptionProblem",
    "check",
    "grpo_batch",
    "grpo_batch_problem",
    "grpo_checkpoint_problem",
    "grpo_rows_problem",
]

LIBRARIES = ("trl.SFTConfig", "trl.GRPOConfig", "trl.GOLDConfig", "peft.LoraConfig", "mergekit")


def check(library: str, options: Mapping[str, Any]) -> list[OptionProblem]:
    """Every problem of options that a recipe passes on verbatim.

    `library` is one of `LIBRARIES`; raises ValueError for another.

    >>> [str(problem) for problem in check("trl.SFTConfig", {"learning_rat": 1e-5})]
    ["learning_rat: TRL's SFTConfig has no such option; did you mean 'learning_rate'?"]
    """
    if library not in LIBRARIES:
        raise ValueError(f"no table of {library!r}; there is {', '.join(LIBRARIES)}")
    if library == "mergekit":
        return [*version_problems("mergekit"), *check_mergekit(options)]
    problems = [*version_problems(library.partition(".")[0]), *check_fields(library, options)]
    if library == "trl.GRPOConfig" and not problems and (text := grpo_batch_problem(options)):
        problems.append(OptionProblem("num_generations", text))
    return problems

"""The tree of errors that we mean; anything else that escapes is a bug and keeps its traceback.

A message has three parts: where, what is wrong with which value, what to write instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

__all__ = [
    "CacheError",
    "DataError",
    "EnvironmentFailure",
    "EpisodeLost",
    "ExportError",
    "GateError",
    "HubError",
    "ModelError",
    "Problem",
    "RecipeError",
    "RunLocked",
    "StageFailed",
    "ZooError",
    "did_you_mean",
]


class ZooError(Exception):
    """Something a user can mend. The command line prints it without a traceback and exits with `exit_code`."""

    exit_code = 1


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a recipe."""

    where: str
    """`file:line`, or the option of the command line that said it."""
    what: str
    """What is wrong, naming the value."""
    instead: str = ""
    """What to write instead."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"\n    {self.instead}" if self.instead else "")


class RecipeError(ZooError):
    """Every problem of a recipe at once."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class HubError(ZooError):
    """A Hub that is down, a repository, revision or file that it does not have, a token without the right."""


class CacheError(ZooError):
    """A finished stage on disk that is no longer what its record says."""


class DataError(ZooError):
    """Rows that a stage cannot use: a missing column, none at all, one longer than the model allows."""


class ModelError(ZooError):
    """A checkpoint that cannot be used: truncated, without a chat template, of an unknown architecture."""


class ExportError(ZooError):
    """A file for the edge that cannot be written or loaded."""


class EnvironmentFailure(ZooError):
    """The machine lacks something: an extra that is not installed, disk, memory."""


class EpisodeLost(ZooError):
    """The world of one episode broke down: a browser crashed, a device went away. The episode counts as an error."""


class GateError(ZooError):
    """A measured value on the wrong side of a threshold of the recipe."""

    exit_code = 3


class RunLocked(ZooError):
    """Another run holds the lock."""


class StageFailed(ZooError):
    """A stage crashed or was killed; the message names its log and shows the last lines."""


def did_you_mean(wrong: str, known: Sequence[str]) -> str:
    """The hint for a mistyped name: the nearest known one, or all of them when none is near."""
    near = get_close_matches(wrong, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(sorted(known))}" if known else ""

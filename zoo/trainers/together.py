"""Numbers of all processes that train one model: each asks, and all are told the same.

Every process must ask, in the same order: whoever does not keeps the others waiting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import torch
from accelerate.utils import gather_object

__all__ = ["Together"]


@dataclass(frozen=True)
class Together:
    """The processes behind an `accelerate.Accelerator`; a single one is together with itself."""

    accelerator: Any

    def most(self, number: int) -> int:
        """The largest of each process's number."""
        return int(self._gathered(number).max())

    def total(self, number: int) -> int:
        """The sum of each process's number."""
        return int(self._gathered(number).sum())

    def mean(self, values: Sequence[float]) -> float:
        """The mean of all values of all processes."""
        return float(mean(gather_object(list(values))))

    def rows(self, rows: Sequence[Any]) -> list[Any]:
        """The rows of all processes."""
        gathered: list[Any] = gather_object(list(rows))
        return gathered

    def _gathered(self, number: int) -> torch.Tensor:
        gathered: torch.Tensor = self.accelerator.gather(torch.tensor([number], device=self.accelerator.device))
        return gathered

"""A recipe's global batch, shared out to devices and to as many passes as their memory asks for.

The rows of one optimizer step are the same however they are shared out, and the loss is their tokens' mean, so that the
step is the same in exact arithmetic: neither devices nor passes are part of a stage's key. What does change with them:
the order in which floats are summed (the last bits), and which random numbers dropout and NEFTune's noise draw.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo import estimate, machine
from zoo.errors import ModelError
from zoo.schema import SFTSpec
from zoo.trainers import loading

__all__ = ["Batch", "derive", "here", "memory_here"]

_MOST_ROWS_ON_A_CPU = 8
"""More rows at once make a processor no faster."""
_SHARE_OF_MEMORY = 0.8


@dataclass(frozen=True)
class Batch:
    """How one optimizer step's rows are shared out: `devices * rows * passes` of them."""

    devices: int
    rows: int
    """At once on one device."""
    passes: int

    def options(self) -> dict[str, int]:
        """The same in TRL's words."""
        return {"per_device_train_batch_size": self.rows, "gradient_accumulation_steps": self.passes}

    def as_data(self) -> dict[str, int]:
        """For a record."""
        return asdict(self)


def derive(
    spec: SFTSpec, config: Mapping[str, Any], devices: int, memory_bytes: int, longest: int, device: str = "cpu"
) -> Batch:
    """The largest micro-batch that divides a device's share of `spec.global_batch` and fits into its memory.

    `longest` is the longest row in tokens. Raises ModelError when the batch cannot be shared out evenly.
    """
    total = spec.global_batch or 1
    if total % devices:
        near = max(total - total % devices, devices)
        raise ModelError(
            f"global_batch: {total} rows cannot be shared out to {devices} devices; write {near}, or let fewer "
            "devices train (`--processes`)"
        )
    share = total // devices
    most = min(share, _MOST_ROWS_ON_A_CPU) if device == "cpu" else share
    for rows in range(most, 1, -1):
        if share % rows == 0 and _memory(spec, config, rows, longest) <= memory_bytes * _SHARE_OF_MEMORY:
            return Batch(devices, rows, share // rows)
    return Batch(devices, 1, share)


def here(spec: SFTSpec, model: Path, longest: int, device: str) -> Batch | None:
    """The batch on this machine, of which `WORLD_SIZE` processes train; None when the recipe fixes no global batch."""
    if spec.global_batch is None:
        return None
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    return derive(spec, loading.config(model), devices, memory_here(device, devices), longest, device)


def memory_here(device: str, processes: int) -> int:
    """Bytes of memory that each of so many processes has: its GPU's, as the driver says, or its share of the machine's.

    Raises EnvironmentFailure for a GPU that is not there.
    """
    if device == "cpu":
        return int(machine.hardware()["memory_bytes"]) // processes
    return min(machine.gpu_memory())


def _memory(spec: SFTSpec, config: Mapping[str, Any], rows: int, longest: int) -> int:
    sized = spec.model_copy(update={"trl": {**spec.trl, "per_device_train_batch_size": rows, "max_length": longest}})
    need = estimate.need(sized, config)
    return need.memory_bytes if need else 0

"""What a run cost: seconds, and the energy that they stand for under an assumption that is said with the figure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from zoo.records import StageRecord

__all__ = ["CPU_WATTS_A_CORE", "Energy", "energy"]

CPU_WATTS_A_CORE = 10.0
"""A server core with its share of memory and of the supply's losses: AMD's EPYC 9654 has 360 W for 96 cores, 3.75 W a
core (https://www.amd.com/en/products/specifications/server-processor.html); the rest of the machine is taken to draw
somewhat more than the processor does."""

# Board power of a GPU at most, from NVIDIA's data sheets; any other is taken to draw 300 W.
_GPU_WATTS = ((r"H[12]00", 700.0), (r"B200", 1000.0), (r"A100.*SXM", 400.0), (r"L4\b", 72.0), (r"T4", 70.0))
_OTHER_GPU_WATTS = 300.0


@dataclass(frozen=True)
class Energy:
    """An estimate, with what it rests on."""

    watt_hours: float
    assumption: str


def energy(records: Iterable[StageRecord]) -> Energy | None:
    """As if every stage had kept its cores, and its GPU where it ran on one, busy all the time.

    None when a record does not say how many cores there were.
    """
    joules, gpus = 0.0, set()
    for record in records:
        cores = record.hardware.get("cores")
        if not isinstance(cores, int):
            return None
        watts = cores * CPU_WATTS_A_CORE
        if str(record.hardware.get("device", "cpu")).startswith("cuda"):
            name = str((record.hardware.get("gpus") or ["GPU"])[0])
            gpus.add(f"{_gpu_watts(name):.0f} W for {name}")
            watts += _gpu_watts(name)
        joules += watts * record.seconds
    told = ", ".join([f"{CPU_WATTS_A_CORE:.0f} W a core with its share of the machine", *sorted(gpus)])
    return Energy(joules / 3600, f"assumed, not measured: {told}, busy all the time")


def _gpu_watts(name: str) -> float:
    return next((watts for pattern, watts in _GPU_WATTS if re.search(pattern, name)), _OTHER_GPU_WATTS)

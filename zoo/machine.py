"""The machine and the installed versions, as far as a reader of a record wants to know them."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from zoo.errors import EnvironmentFailure

__all__ = ["DISTRIBUTIONS", "device", "gpu_memory", "hardware", "processes", "versions"]

_NVIDIA = Path("/proc/driver/nvidia/gpus")

DISTRIBUTIONS = (
    "edgezoo",
    "torch",
    "transformers",
    "trl",
    "peft",
    "mergekit",
    "datasets",
    "huggingface_hub",
    "gguf",
    "xllamacpp",
    "onnxruntime",
    "onnxruntime-genai",
)


def versions(distributions: Iterable[str] = DISTRIBUTIONS) -> dict[str, str]:
    """Python's version and those of the distributions that are installed."""
    found = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware(gpus: Path = _NVIDIA) -> dict[str, Any]:
    """Processor, cores that this process may use, memory in bytes, and the names of NVIDIA GPUs where there are any."""
    names = _gpu_names(gpus)
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        **({"gpus": ", ".join(names)} if names else {}),
    }


def device(asked: str, gpus: Path = _NVIDIA) -> str:
    """The device that `auto` stands for: `cuda` where the driver shows a GPU, else `cpu`. Anything else is itself."""
    if asked != "auto":
        return asked
    return "cuda" if _gpu_names(gpus) else "cpu"


def processes(device: str, gpus: Path = _NVIDIA) -> int:
    """How many processes train one model on a device: `cuda` is all GPUs that this process may see, the rest is one."""
    if device != "cuda":
        return 1
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return max(1, len(_gpu_names(gpus)) if visible is None else len([one for one in visible.split(",") if one]))


def gpu_memory() -> list[int]:
    """Bytes of memory of each GPU that this process may see, as `nvidia-smi` tells them.

    Raises EnvironmentFailure when it tells none.
    """
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        told = subprocess.run(
            [*command, *(["-i", visible] if visible else [])], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise EnvironmentFailure("nvidia-smi tells of no GPU here; write --device cpu") from error
    return [int(line) * 2**20 for line in told.stdout.split()]


def _gpu_names(gpus: Path) -> list[str]:
    files = sorted(gpus.glob("*/information"))
    found = (re.search(r"^Model:\s*(.+)$", file.read_text(), re.MULTILINE) for file in files)
    return [match[1].strip() for match in found if match]


def _cpu_name() -> str:
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()

"""Tables of names, each naming an attribute of a module, so that knowing what exists imports nothing heavy."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

__all__ = [
    "DIALECTS",
    "ENVIRONMENTS",
    "EPISODE_REWARDS",
    "REWARDS",
    "STAGES",
    "WORLD_NEEDS",
    "StageEntry",
    "load",
    "missing_modules",
]


@dataclass(frozen=True)
class StageEntry:
    """A kind of stage: where its settings and its function are, and how it runs."""

    spec: str
    """`module:attribute` of its settings, a pydantic model in `zoo.schema`."""
    run: str
    """`module:attribute` of its `run(spec, ctx)`."""
    version: int
    """Raised by hand when the same settings would now give another result; it is part of every key."""
    produces: str
    """`rows`, `model`, `logits`, `scores`, `files` or `publication`; what a reference to it may be used for."""
    extra: str = ""
    """The extra of the distribution that it needs."""
    needs: tuple[str, ...] = ()
    """Modules that must be importable; named so that a missing extra is known before anything runs."""
    isolated: bool = True
    """Whether it runs in a process of its own, so that its memory comes back and a kill is one clear error."""
    reads_recipe: bool = False
    """Whether the recipe's own text and the card templates are part of what it makes, and so of its key."""


_TORCH = ("torch", "transformers")
_TRAINING = (*_TORCH, "trl", "peft", "datasets", "accelerate")
_LLAMA = (*_TORCH, "gguf", "xllamacpp")
_ONNX = (*_TORCH, "onnx", "onnxruntime", "onnxruntime_genai", "onnxscript", "onnx_ir")

STAGES: dict[str, StageEntry] = {
    "tiny": StageEntry("zoo.schema:TinySpec", "zoo.tiny:run", 1, "model", "train", _TORCH),
    "tiny-rows": StageEntry("zoo.schema:TinyRowsSpec", "zoo.data:run_tiny_rows", 1, "rows", isolated=False),
    "data": StageEntry("zoo.schema:DataSpec", "zoo.data:run", 2, "rows"),
    "documentation": StageEntry("zoo.schema:DocumentationSpec", "zoo.documentation:run", 1, "rows", isolated=False),
    "probe": StageEntry("zoo.schema:ProbeSpec", "zoo.probe:run", 1, "scores", "train", _TORCH),
    "sft": StageEntry("zoo.schema:SFTSpec", "zoo.trainers.sft:run", 1, "model", "train", _TRAINING),
    "logits": StageEntry("zoo.schema:LogitsSpec", "zoo.trainers.distill:capture", 1, "logits", "train", _TORCH),
    "distill": StageEntry("zoo.schema:DistillSpec", "zoo.trainers.distill:run", 1, "model", "train", _TRAINING),
    "merge": StageEntry("zoo.schema:MergeSpec", "zoo.merge:run", 1, "model", "merge", ("torch", "mergekit")),
    "choose": StageEntry(
        "zoo.schema:ChooseSpec", "zoo.choose:run", 2, "model", "cards", ("matplotlib",), isolated=False
    ),
    "grpo": StageEntry("zoo.schema:GRPOSpec", "zoo.trainers.grpo:run", 1, "model", "train", _TRAINING),
    "evaluate": StageEntry("zoo.schema:EvaluateSpec", "zoo.evaluate:run", 2, "scores", "train", _TORCH),
    "gguf": StageEntry("zoo.schema:GGUFSpec", "zoo.exports.gguf:run", 3, "files", "export", _LLAMA),
    "onnx": StageEntry("zoo.schema:ONNXSpec", "zoo.exports.onnx:run", 2, "files", "onnx", _ONNX),
    "verify": StageEntry("zoo.schema:VerifySpec", "zoo.verify:run", 2, "scores", "export", (*_LLAMA, "matplotlib")),
    "latency": StageEntry("zoo.schema:LatencySpec", "zoo.latency:run", 1, "scores", "export", _LLAMA),
    "publish": StageEntry(
        "zoo.schema:PublishSpec",
        "zoo.publish:run",
        5,
        "publication",
        "cards",
        ("matplotlib",),
        isolated=False,
        reads_recipe=True,
    ),
}

ENVIRONMENTS: dict[str, str] = {
    "phone": "zoo.environments.phone:PhoneEnvironment",
    "phone-ten": "zoo.environments.phone:TenAppPhone",
    "miniwob": "zoo.environments.miniwob:MiniwobEnvironment",
    "android": "zoo.environments.android:AndroidEnvironment",
    "arithmetic": "zoo.environments.interpreter:ArithmeticEnvironment",
    "arithmetic-alone": "zoo.environments.interpreter:AloneEnvironment",
    "desk": "zoo.environments.desk:DeskEnvironment",
}

DIALECTS: dict[str, str] = {
    "arithmetic": "zoo.dialects.code:WITH_INTERPRETER",
    "arithmetic-alone": "zoo.dialects.code:ALONE",
}
"""Worlds whose agents do not speak OpenPhone's three tags -> how they speak, a `zoo.dialects.Dialect`."""

WORLD_NEEDS: dict[str, tuple[str, str]] = {
    "arithmetic": ("reasoning", "reasoning_gym"),
    "arithmetic-alone": ("reasoning", "reasoning_gym"),
}
"""Worlds that need an extra of the distribution -> the extra, and the module that it brings."""

REWARDS: dict[str, str] = {
    "format": "zoo.rewards:FormatReward",
    "action": "zoo.rewards:ActionReward",
    "overlong": "zoo.rewards:OverlongReward",
}

EPISODE_REWARDS: dict[str, str] = {
    "success": "zoo.rewards:SuccessReward",
    "sub-goals": "zoo.rewards:SubGoalReward",
    "readable": "zoo.rewards:ReadableReward",
    "format": "zoo.rewards:EpisodeFormatReward",
    "overlong": "zoo.rewards:EpisodeOverlongReward",
    "outcome": "zoo.rewards:OutcomeReward",
}


def load(target: str) -> Any:
    """Import what a `"module:attribute"` string names.

    >>> load("zoo.fingerprint:of_data").__name__
    'of_data'
    """
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def missing_modules(entry: StageEntry, find: Callable[[str], object | None] = find_spec) -> tuple[str, ...]:
    """The modules that a kind of stage needs and that are not installed here."""
    return tuple(module for module in entry.needs if find(module) is None)

"""What llama.cpp wants to be told of each architecture: the one table, with its sources.

A wrong entry gives a file that loads and talks nonsense, so every row is compared with llama.cpp's own converter (the
`conversion/` folder of llama.cpp, named per row) and with torch by `zoo.verify`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import ExportError

__all__ = ["ARCHITECTURES", "Architecture", "of", "rotary", "supported", "text_config"]

_ROTARY_TYPES = (None, "default", "mrope")


@dataclass(frozen=True)
class Architecture:
    """One architecture, by the name that its `config.json` carries."""

    gguf: str
    """Its name in GGUF; the prefix of its metadata."""
    interleaved_rotary: bool
    """Whether llama.cpp rotates neighbouring rows of the query and key weights, where transformers rotates row i with
    row i + half a head. The rows are then reordered; their number per head does not change."""
    multimodal: bool
    """Whether the language model lies in a larger model: its settings under `text_config`, a vision tower beside it. The
    tower is not part of the file; llama.cpp reads it from a file of its own (`mmproj`)."""
    source: str
    """The class of llama.cpp's converter that this row was checked against."""


ARCHITECTURES: dict[str, Architecture] = {
    "LlamaForCausalLM": Architecture("llama", True, False, "conversion/llama.py: LlamaModel"),
    "Qwen2ForCausalLM": Architecture("qwen2", False, False, "conversion/qwen.py: Qwen2Model"),
    "Qwen3ForCausalLM": Architecture("qwen3", False, False, "conversion/qwen.py: Qwen3Model"),
    "Qwen2_5_VLForConditionalGeneration": Architecture(
        "qwen2vl", False, True, "conversion/qwenvl.py: Qwen2VLModel; rotary sections in base.py: TextModel"
    ),
}


def of(config: Mapping[str, Any]) -> Architecture:
    """The row of a `config.json`. Raises ExportError when there is none, with the list of those that are known."""
    names = config.get("architectures") or ["none named"]
    if names[0] not in ARCHITECTURES:
        raise ExportError(
            f"no GGUF export for the architecture {names[0]}; known: {', '.join(ARCHITECTURES)}. "
            "A new one is a row in zoo/exports/architectures.py"
        )
    return ARCHITECTURES[names[0]]


def supported(config: Mapping[str, Any]) -> None:
    """Check that a checkpoint can become GGUF, from its `config.json` alone and so before it is trained.

    Raises ExportError naming what the export does not know.
    """
    architecture = of(config)
    text = text_config(config)
    if config.get("quantization_config"):
        raise ExportError("the checkpoint is already quantized; export the checkpoint in float32 or bfloat16 instead")
    if text.get("hidden_act", "silu") != "silu":
        raise ExportError(f"{architecture.gguf} in llama.cpp computes silu, the checkpoint uses {text['hidden_act']}")
    if text.get("use_sliding_window"):
        raise ExportError(f"no GGUF export for sliding-window attention of {architecture.gguf}")
    kind = rotary(text).get("rope_type")
    if kind not in _ROTARY_TYPES:
        raise ExportError(f"no GGUF export for rotary positions of the type {kind!r}; only the plain ones are known")


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of the language model: the config itself, or the part under `text_config`."""
    nested = config.get("text_config")
    return nested if isinstance(nested, dict) and of(config).multimodal else config


def rotary(text: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary settings as transformers 5 writes them (`rope_parameters`) or 4 (`rope_theta` and `rope_scaling`)."""
    if parameters := text.get("rope_parameters"):
        return dict(parameters)
    scaling = dict(text.get("rope_scaling") or {})
    kind = scaling.get("rope_type", scaling.get("type"))
    return {**scaling, "rope_type": kind, "rope_theta": text.get("rope_theta")}

"""Where the variants of an ONNX export lie, and which checkpoints can have one.

The names are those that Hub users expect: `onnx/model.onnx` and, beside it, transformers.js's names for its dtypes
(`fp16`, `q8`, `q4`); what ONNX Runtime GenAI reads is a folder of its own. Nothing here opens a graph.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import ExportError

__all__ = [
    "ARCHITECTURES",
    "FILES",
    "GENAI_CONFIG",
    "data_file",
    "find",
    "is_genai",
    "label",
    "needed",
    "size",
    "supported",
    "variant_of",
]

FILES = {
    "fp32": "onnx/model.onnx",
    "fp16": "onnx/model_fp16.onnx",
    "int8": "onnx/model_quantized.onnx",
    "int4": "onnx/model_q4.onnx",
    "genai-int8": "genai/cpu-int8/model.onnx",
    "genai-int4": "genai/cpu-int4/model.onnx",
}
"""Variant -> its graph, relative to the export's folder. `fp16` for GenAI on the CPU is not in here: its graph answers
the first token and then ends in an error."""

GENAI_CONFIG = "genai_config.json"

ARCHITECTURES = {
    "LlamaForCausalLM": True,
    "Qwen2ForCausalLM": True,
    "Qwen3ForCausalLM": True,
    "SmolLM3ForCausalLM": True,
    "Qwen2_5_VLForConditionalGeneration": False,
}
"""Architectures whose export is tested -> whether GenAI's builder makes the same model of them."""


def find(export: Path) -> dict[str, Path]:
    """Variant -> graph, for those that lie in an export's folder.

    >>> find(Path("nowhere"))
    {}
    """
    return {variant: export / name for variant, name in FILES.items() if (export / name).is_file()}


def label(graph: Path) -> str:
    """A graph's name inside its export: `onnx/model.onnx`.

    >>> label(Path("some/export/genai/cpu-int8/model.onnx"))
    'genai/cpu-int8/model.onnx'
    """
    known = (name for name in FILES.values() if graph.as_posix().endswith("/" + name))
    return next(known, graph.name)


def variant_of(graph: Path) -> str | None:
    """Which variant a graph is by its place, None for any other place.

    >>> variant_of(Path("some/export/onnx/model_quantized.onnx"))
    'int8'
    """
    return next((variant for variant, name in FILES.items() if name == label(graph)), None)


def data_file(graph: Path) -> Path:
    """Where a graph's weights lie when they are not inside it: the name that transformers.js asks for."""
    return graph.with_name(graph.name + "_data")


def is_genai(graph: Path) -> bool:
    """Whether a graph lies in a folder that ONNX Runtime GenAI reads."""
    return graph.with_name(GENAI_CONFIG).is_file()


def size(graph: Path) -> int:
    """Bytes of a graph with its weights, inside it or beside it."""
    weights = (file for file in graph.parent.glob(graph.name + "*") if file != graph)
    return graph.stat().st_size + sum(file.stat().st_size for file in weights)


def needed(graph: str, there: Collection[str]) -> list[str]:
    """The files of a repository that one of its graphs is opened with: its weights (of GenAI its whole folder) and what
    stands at the top, tokenizer and config among it.

    >>> needed("onnx/model.onnx", ["README.md", "onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_q4.onnx"])
    ['README.md', 'onnx/model.onnx', 'onnx/model.onnx_data']
    """
    folder = Path(graph).parent.as_posix()
    own = f"{folder}/" if f"{folder}/{GENAI_CONFIG}" in there else graph
    descriptions = [path for path in there if "/" not in path and not path.endswith((".safetensors", ".gguf"))]
    return [*descriptions, *(path for path in there if path.startswith(own))]


def supported(config: Mapping[str, Any], variants: tuple[str, ...] = ()) -> None:
    """Check that a checkpoint can become ONNX, from its `config.json` alone and so before it is trained.

    Raises ExportError naming what the export does not know.
    """
    name = (config.get("architectures") or ["none named"])[0]
    if name not in ARCHITECTURES:
        raise ExportError(f"no ONNX export for the architecture {name}; known: {', '.join(ARCHITECTURES)}")
    if config.get("quantization_config"):
        raise ExportError("the checkpoint is already quantized; export the checkpoint in float32 or bfloat16 instead")
    text = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    if text.get("use_sliding_window"):
        raise ExportError("no ONNX export for sliding-window attention: its cache has another length in every layer")
    genai = [variant for variant in variants if variant.startswith("genai-")]
    if genai and not ARCHITECTURES[name]:
        raise ExportError(
            f"no {genai[0]} for {name}: GenAI's builder writes a decoder that asks for rotary positions of three axes; "
            "export fp32 or int8"
        )

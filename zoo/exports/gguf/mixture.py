"""Which type each tensor of a file gets: llama.cpp's own mixtures, its fallbacks, and what a recipe says otherwise.

A file called Q4_K_M is a mixture. The rules are those of llama.cpp (`src/llama-quant.cpp`: llama_tensor_get_type_impl
and tensor_type_fallback), so that a file here has the types, tensor by tensor, that `llama-quantize` would give it. Not
covered: what llama.cpp does otherwise for experts and for the models that it knows as 70B.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from zoo.errors import ExportError, did_you_mean

__all__ = ["BASE_TYPES", "FILE_TYPES", "check_patterns", "tensor_types"]

FILE_TYPES = {
    "f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0", "q6_k": "MOSTLY_Q6_K",
    "q5_k_m": "MOSTLY_Q5_K_M", "q4_k_m": "MOSTLY_Q4_K_M", "q4_0": "MOSTLY_Q4_0",
}  # fmt: skip
"""Type of a file -> `gguf.LlamaFileType`."""

BASE_TYPES = {
    "f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0", "q6_k": "Q6_K", "q5_k_m": "Q5_K", "q4_k_m": "Q4_K",
    "q4_0": "Q4_0",
}  # fmt: skip
"""Type of a file -> the type of most of its tensors."""

_ROW = {"F32": 1, "F16": 1, "BF16": 1, "Q8_0": 32, "Q4_0": 32, "Q4_1": 32, "Q5_0": 32, "Q5_1": 32,
        "Q4_K": 256, "Q5_K": 256, "Q6_K": 256}  # fmt: skip
"""Tensor type -> the number of values that a row must be a multiple of."""
_FALLBACK = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
_UNQUANTIZED = ("f32", "f16", "bf16")


def tensor_types(
    shapes: Mapping[str, tuple[int, ...]], type_: str, patterns: Mapping[str, str], *, layers: int, guided: bool
) -> dict[str, str]:
    """Tensor -> its type, for a file of a type; shapes have the rows first.

    `patterns` (shell wildcards -> tensor type, the first that fits) hold for quantized files. `guided`: whether there
    is an importance matrix. Tensors of one dimension stay F32.
    """
    tied = "output.weight" not in shapes
    quantized = type_ not in _UNQUANTIZED
    found = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            found[name] = "F32"
            continue
        asked = next((kind for pattern, kind in patterns.items() if fnmatchcase(name, pattern)), None)
        wanted = asked.upper() if asked and quantized else _mixed(name, type_, layers, tied, guided)
        found[name] = _fitting(wanted, shape[-1])
    return found


def check_patterns(patterns: Mapping[str, str], names: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a pattern that fits no tensor of two dimensions: it is a mistyped name, and nothing else would say so.

    Raises ExportError.
    """
    matrices = [name for name, shape in names.items() if len(shape) > 1]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in matrices):
            kinds = sorted({re.sub(r"\d+", "*", name, count=1) for name in matrices})
            raise ExportError(
                f"tensors: {pattern!r} fits no tensor that can be quantized; {did_you_mean(pattern, kinds)}"
            )


def _mixed(name: str, type_: str, layers: int, tied: bool, guided: bool) -> str:
    base = BASE_TYPES[type_]
    if type_ in (*_UNQUANTIZED, "q8_0"):
        return base
    if name == "output.weight" or (tied and name == "token_embd.weight"):
        return "Q6_K"
    layer = int(match[1]) if (match := re.match(r"blk\.(\d+)\.", name)) else 0
    if type_ in ("q4_k_m", "q5_k_m") and ("attn_v.weight" in name or "ffn_down" in name):
        return "Q6_K" if _deserves_more(layer, layers) else base
    if type_ == "q4_0" and guided and "ffn_down" in name and layer < layers // 8:
        return "Q4_1"  # llama.cpp: the first of them go wrong in Q4_0, importance matrix or not
    return base


def _deserves_more(layer: int, layers: int) -> bool:
    """The first and the last eighth, and every third between (llama.cpp: use_more_bits)."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def _fitting(wanted: str, row: int) -> str:
    """The type itself, or what llama.cpp takes for rows that do not divide into its blocks."""
    if row % _ROW[wanted] == 0:
        return wanted
    smaller = _FALLBACK.get(wanted, wanted)
    return smaller if row % _ROW[smaller] == 0 else "F16"

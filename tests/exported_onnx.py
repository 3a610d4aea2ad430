"""A lively tiny checkpoint and its ONNX variants, for the tests that open, verify or serve them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lively_model

from zoo.exports.onnx import convert

__all__ = ["VARIANTS", "OnnxExport", "make"]

VARIANTS = ("fp32", "fp16", "int8", "int4", "genai-int8")


@dataclass(frozen=True)
class OnnxExport:
    """Where they are, and what the export said of each."""

    checkpoint: Path
    folder: Path
    notes: dict[str, dict[str, Any]]


def make(tiny: Path, place: Path, variants: Sequence[str] = VARIANTS) -> OnnxExport:
    """Export `tiny`, made lively, into a folder of `place`."""
    checkpoint = lively_model.make(tiny, place / "model")
    notes = {variant: convert(checkpoint, place / "export", variant) for variant in variants}
    return OnnxExport(checkpoint, place / "export", notes)

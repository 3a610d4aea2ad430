"""A checkpoint as files for the edge."""

from typing import Literal

from pydantic import Field

from zoo.schema.agent import AgentSpec
from zoo.schema.reference import ModelRef, RowsRef
from zoo.schema.settings import Settings, StageSpec

__all__ = ["GGUFSpec", "ImportanceSpec", "ONNXSpec"]


class ImportanceSpec(Settings):
    """What a quantizer learns from which columns matter: rows of the recipe's own world."""

    rows: RowsRef
    """A data stage."""
    count: int = Field(64, ge=1)
    """How many of its rows are read, drawn with the seed."""


class GGUFSpec(StageSpec):
    """A checkpoint as GGUF, for llama.cpp."""

    kind: Literal["gguf"] = "gguf"
    model: ModelRef
    name: str = ""
    """What the files call the model; the recipe's name by default."""
    license: str = ""
    """SPDX identifier in the files; the recipe's by default."""
    types: tuple[Literal["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0"], ...] = ("f16", "q8_0")
    """One file each. `q4_k_m` and the like are llama.cpp's mixtures: the record says what they really hold."""
    imatrix: ImportanceSpec | None = None
    """An importance matrix for the types of six bits and fewer."""
    tensors: dict[
        str, Literal["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k", "q5_1", "q5_0", "q4_k", "q4_1", "q4_0"]
    ] = Field(default_factory=dict)
    """Pattern of tensor names, for example `blk.*.ffn_down.weight`, -> its type in every file of a quantized type; the
    first pattern that fits counts."""
    shard_bytes: int | None = Field(None, ge=1)
    """Split files at so many bytes."""
    mmproj: Literal["f32", "f16", "bf16", "q8_0"] | None = "f16"
    """The type of the vision tower's file, for a model that has one; null leaves it out."""
    adapter: bool = False
    """Also the LoRA adapter of the stage that made the model, as a file of its own."""
    agent: AgentSpec | None = None
    """Whose grammar of calls travels with the files (`action.gbnf`, `action.schema.json`) and in their metadata; the
    recipe's agent where it names one."""


class ONNXSpec(StageSpec):
    """A checkpoint as ONNX, for ONNX Runtime, transformers.js, optimum and ONNX Runtime GenAI."""

    kind: Literal["onnx"] = "onnx"
    model: ModelRef
    variants: tuple[Literal["fp32", "fp16", "int8", "int4", "genai-int8", "genai-int4"], ...] = ("fp16", "int8")
    """One graph each. `int8` and `int4`: weights only, in blocks of 32. `genai-...`: for ONNX Runtime GenAI, faster."""
    exporter: Literal["transformers", "torch"] = "transformers"
    """Who traces the portable graph: transformers' own exporter, or torch's over a wrapper of ours."""
    threads: int = Field(2, ge=1)
    """Threads that the settings of the GenAI variants ask for."""
    agent: AgentSpec | None = None
    """Whose grammar of calls travels with the files (`action.gbnf`, `action.schema.json`); the recipe's agent where it
    names one."""

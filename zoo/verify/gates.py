"""What a file is held to: the recipe's gate for its type, or the default of its precision.

The defaults were measured on SmolLM2-135M, whose torch checkpoint in bfloat16 itself is 1.1e-3 nats from float32 and
agrees with it on 97.6 % of the next tokens. llama.cpp reads f16 at 2.4e-6 nats, bf16 at 9.6e-5, q8_0 at 4e-3, q6_k at
1e-2, q4_k_m at 7e-2; ONNX Runtime reads fp32 at 1.4e-11, fp16 at 8e-6, int8 at 5e-3, and int4 at above 0.1, which so
small a model does not keep. They are there to tell a sound file from a broken one, and are never loosened to let a file
pass.
"""

from collections.abc import Mapping

from zoo.formats.gguf_header import Header
from zoo.schema import Gate

__all__ = ["default_gate", "gate_of", "type_of"]

_FULL = Gate(mean_kl=1e-5, top1=0.998, perplexity_ratio=1.001)
_BF16 = Gate(mean_kl=1.1e-3, top1=0.975, perplexity_ratio=1.005)
_EIGHT_BITS = Gate(mean_kl=1e-2, top1=0.95, perplexity_ratio=1.02)
_FEWER_BITS = Gate(mean_kl=0.1, top1=0.85, perplexity_ratio=1.10, success_drop=2.0)
_BY_TYPE = {
    "f32": _FULL,
    "f16": _FULL,
    "bf16": _BF16,
    "q8_0": _EIGHT_BITS,
    "fp32": Gate(mean_kl=1e-8, top1=0.999, perplexity_ratio=1.001),
    "fp16": Gate(mean_kl=1e-4, top1=0.995, perplexity_ratio=1.005),
    "int8": _EIGHT_BITS,
    "genai-int8": _EIGHT_BITS,
}
"""GGUF's types, and the variants of ONNX by their own names."""


def default_gate(type_: str) -> Gate:
    """The gate of a type that has no other: `f16`, `q8_0`, `fp16`; any other name is one of 6 bits or fewer.

    >>> default_gate("q4_k_m").success_drop
    2.0
    """
    return _BY_TYPE.get(type_, _FEWER_BITS)


def gate_of(type_: str, gates: Mapping[str, Gate], tasks: int) -> Gate:
    """The recipe's gate of a type, what it leaves open filled in; the loss of success only when tasks are run."""
    default = default_gate(type_)
    gate = gates.get(type_, default)
    open_ = {
        name: getattr(default, name) for name in ("perplexity_ratio", "success_drop") if getattr(gate, name) is None
    }
    return gate.model_copy(update={**open_, **({} if tasks else {"success_drop": None})})


def type_of(header: Header) -> str:
    """The type that a file says it has, `q4_k_m`; for one that says nothing, that of most of its bytes."""
    from gguf import LlamaFileType

    try:
        return str(LlamaFileType(header.metadata["general.file_type"]).name).partition("_")[2].lower()
    except (KeyError, ValueError):
        sizes: dict[str, int] = {}
        for tensor in header.tensors:
            sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.bytes
        return max(sizes, key=lambda name: sizes[name]).lower()

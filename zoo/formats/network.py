"""The settings that llama.cpp builds a network from, and the networks that it cannot build, by `config.json`.

What llama.cpp has in its code instead of a file's metadata (which layers of SmolLM3 have no positions, which of Gemma 3
look through a window) is compared here with what the checkpoint says; another arrangement is refused.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from zoo.errors import ExportError
from zoo.formats.architectures import Architecture, of, text_config

__all__ = ["sizes", "supported"]

Setting = int | float | str | list[int]

_ROTARY_TYPES = {"gemma3": (None, "default", "linear")}
_PLAIN_ROTARY = (None, "default", "mrope")
_ACTIVATIONS = {"gemma3": "gelu_pytorch_tanh"}
# src/models/smollm3.cpp: n_no_rope_layer_step; src/models/gemma3.cpp: load_swa_pattern
_SMOLLM3_PERIOD, _GEMMA3_PERIOD = 4, 6
_GEMMA3_LOCAL_BASE = 10_000.0
"""Of the layers with a window; llama.cpp takes it for granted."""


def supported(config: Mapping[str, Any]) -> None:
    """Check that a checkpoint can become GGUF, from its `config.json` alone and so before it is trained.

    Raises ExportError naming what the export does not know.
    """
    architecture = of(config)
    text = text_config(config)
    if config.get("quantization_config"):
        raise ExportError("the checkpoint is already quantized; export the checkpoint in float32 or bfloat16 instead")
    wanted = _ACTIVATIONS.get(architecture.gguf, "silu")
    if (used := text.get("hidden_act", text.get("hidden_activation", wanted))) != wanted:
        raise ExportError(f"{architecture.gguf} in llama.cpp computes {wanted}, the checkpoint uses {used}")
    if text.get("use_sliding_window"):
        raise ExportError(f"no GGUF export for sliding-window attention of {architecture.gguf}")
    kind = _rotary(text).get("rope_type")
    if kind not in _ROTARY_TYPES.get(architecture.gguf, _PLAIN_ROTARY):
        raise ExportError(f"no GGUF export for rotary positions of the type {kind!r}; only the plain ones are known")
    for what in _EXTRA_CHECKS.get(architecture.gguf, _nothing)(text):
        raise ExportError(f"no GGUF export for this checkpoint: {architecture.gguf} in llama.cpp {what}")


def _nothing(_: Mapping[str, Any]) -> Iterator[str]:
    yield from ()


def _smollm3(text: Mapping[str, Any]) -> Iterator[str]:
    given, layers = text.get("no_rope_layers"), text.get("num_hidden_layers", 0)
    period = text.get("no_rope_layer_interval", _SMOLLM3_PERIOD)
    if (given or _every(period, layers)) != _every(_SMOLLM3_PERIOD, layers):
        yield f"leaves out the positions of every {_SMOLLM3_PERIOD}th layer, config.json says no_rope_layers: {given}"
    if text.get("attention_bias") or text.get("mlp_bias"):
        yield "has no biases"


def _every(period: int, layers: int) -> list[int]:
    """0 for every n-th layer, 1 for the others."""
    return [int((layer + 1) % period != 0) for layer in range(layers)]


def _gemma3(text: Mapping[str, Any]) -> Iterator[str]:
    layers = text.get("num_hidden_layers", 26)
    windows = text.get("layer_types")
    period = text.get("sliding_window_pattern", _GEMMA3_PERIOD)
    found = [int(kind == "sliding_attention") for kind in windows] if windows else _every(period, layers)
    if found != _every(_GEMMA3_PERIOD, layers):
        yield f"lets every {_GEMMA3_PERIOD}th layer see everything and the others a window; config.json says otherwise"
    head = text.get("head_dim", 256)
    # src/models/gemma3.cpp: f_attention_scale; 62 layers are the 27B, whose scale is another
    wanted = text.get("hidden_size", 0) // text.get("num_attention_heads", 1) if layers == 62 else head
    if (scale := text.get("query_pre_attn_scalar", 256)) != wanted:
        yield f"divides by the root of {wanted}, config.json says query_pre_attn_scalar: {scale}"
    if (base := _local_base(text)) != _GEMMA3_LOCAL_BASE:
        yield f"takes {_GEMMA3_LOCAL_BASE:g} for the rotary base of its windows, config.json says {base:g}"
    if text.get("use_bidirectional_attention"):
        yield "looks back only, config.json says use_bidirectional_attention"
    if text.get("attn_logit_softcapping"):
        yield "caps no attention, config.json says attn_logit_softcapping"
    if text.get("attention_bias"):
        yield "has no biases"


_EXTRA_CHECKS = {"smollm3": _smollm3, "gemma3": _gemma3}


def _local_base(text: Mapping[str, Any]) -> float:
    local = (text.get("rope_parameters") or {}).get("sliding_attention") or {}
    return float(local.get("rope_theta", text.get("rope_local_base_freq", _GEMMA3_LOCAL_BASE)))


def _rotary(text: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary settings as transformers 5 writes them (`rope_parameters`) or 4 (`rope_theta` and `rope_scaling`)."""
    if parameters := text.get("rope_parameters"):
        return dict(parameters.get("full_attention", parameters))
    scaling = dict(text.get("rope_scaling") or {})
    kind = scaling.get("rope_type", scaling.get("type"))
    return {**scaling, "rope_type": kind, "rope_theta": text.get("rope_theta")}


def sizes(architecture: Architecture, text: Any) -> dict[str, Setting]:
    """The metadata that llama.cpp builds the network from. `text` is transformers' config of the language model, since
    there the defaults are filled in."""
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    values: dict[str, Setting] = {
        "block_count": text.num_hidden_layers,
        "context_length": text.max_position_embeddings,
        "embedding_length": text.hidden_size,
        "feed_forward_length": text.intermediate_size,
        "attention.head_count": text.num_attention_heads,
        "attention.head_count_kv": text.num_key_value_heads,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": float(text.rms_norm_eps),
        "vocab_size": text.vocab_size,
        "rope.dimension_count": head,
        **_rotary_settings(text.rope_parameters),
        **(_window_settings(text) if architecture.gguf == "gemma3" else {}),
    }
    return {f"{architecture.gguf}.{key}": value for key, value in values.items()}


def _rotary_settings(given: Mapping[str, Any]) -> dict[str, Setting]:
    parameters = given.get("full_attention", given)
    values: dict[str, Setting] = {"rope.freq_base": float(parameters["rope_theta"])}
    if sections := parameters.get("mrope_section"):
        # time, height, width, and a fourth that only other models use
        values["rope.dimension_sections"] = [*sections, 0][:4]
    if parameters.get("rope_type") == "linear":
        values |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(parameters["factor"])}
    return values


def _window_settings(text: Any) -> dict[str, Setting]:
    values: dict[str, Setting] = {"attention.sliding_window": text.sliding_window}
    if text.final_logit_softcapping:
        values["final_logit_softcapping"] = float(text.final_logit_softcapping)
    return values

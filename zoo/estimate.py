"""What a stage will need of memory and disk, computed from a model's `config.json` before anything runs.

Estimates, and said to be: weights, gradients and optimizer states are arithmetic; activations follow Korthikanti et
al., "Reducing Activation Recomputation in Large Transformer Models" (arXiv 2205.05198), without the attention matrix,
which fused attention does not keep. Not covered: fragmentation, vision activations, generation caches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from zoo.schema import (
    DataSpec,
    DistillSpec,
    GGUFSpec,
    GRPOSpec,
    LogitsSpec,
    MergeSpec,
    SFTSpec,
    StageSpec,
    TrainingSpec,
)

__all__ = ["Need", "linear_shapes", "logit_token_bytes", "need", "parameters", "weights"]

_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
# Bytes a weight, scales included (gguf: GGML_QUANT_SIZES); of the mixtures, as measured on SmolLM2-135M, whose rows do
# not divide by 256 and fall back to larger types, and as llama.cpp's documentation says of models whose rows do.
_GGUF_BYTES = {
    "f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q6_k": 210 / 256, "q5_k_m": 0.72, "q4_k_m": 0.62,
    "q4_0": 18 / 32,
}  # fmt: skip
_GGUF_FALLBACK_BYTES = {"q6_k": 34 / 32, "q5_k_m": 0.85, "q4_k_m": 0.79, "q4_0": 0.69}
_GGUF_BLOCK = 256
# Activation bytes a token, a layer and a hidden unit: everything kept, or only each layer's input.
_KEPT, _RECOMPUTED = 34, 2
_TRL_MAX_LENGTH = 1024
# Half a byte, and the scales of blocks of 64 weights, themselves quantized (QLoRA, arXiv 2305.14314).
_NF4_BYTES = 0.516
_CHECKPOINTS_KEPT = 2


@dataclass(frozen=True)
class Need:
    """Bytes that a stage needs at its peak, and bytes that it leaves on disk."""

    memory_bytes: int
    disk_bytes: int


def parameters(config: Mapping[str, Any]) -> int:
    """The number of parameters of a Llama, Qwen2, Qwen3 or Qwen2.5-VL checkpoint; tied embeddings count once.

    Raises KeyError when `config` lacks a size that such an architecture has.
    """
    text = config.get("text_config", config)
    hidden, layers, vocabulary = text["hidden_size"], text["num_hidden_layers"], text["vocab_size"]
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))
    linear = sum(prod(shape) for shape in linear_shapes(config))
    norms = hidden * (2 * layers + 1) + layers * _small_vectors(text)
    embeddings = vocabulary * hidden * (1 if tied else 2)
    return int(embeddings) + linear + int(norms) + _vision_parameters(config.get("vision_config"))


def linear_shapes(config: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(in, out) of every linear layer of the language model, the head apart."""
    text = config.get("text_config", config)
    hidden, inner = text["hidden_size"], text["intermediate_size"]
    head = text.get("head_dim") or hidden // text["num_attention_heads"]
    query, value = (
        head * text["num_attention_heads"],
        head * text.get("num_key_value_heads", text["num_attention_heads"]),
    )
    layer = [(hidden, query), (hidden, value), (hidden, value), (query, hidden)]
    layer += [(hidden, inner), (hidden, inner), (inner, hidden)]
    return layer * int(text["num_hidden_layers"])


def logit_token_bytes(top_k: int, temperatures: int) -> int:
    """What the stored distribution of one token takes: a float16 and an int32 for each kept token, a float32 for what
    lies outside them at each temperature."""
    return 6 * top_k + 4 * temperatures


def need(
    spec: StageSpec,
    config: Mapping[str, Any],
    *,
    teacher: Mapping[str, Any] | None = None,
    rows: StageSpec | None = None,
) -> Need | None:
    """What a stage needs that starts from a model of this config; None for a kind whose need is small or not known.

    `teacher`: the config of the model that a distill stage keeps in memory beside its own. `rows`: the settings of the
    stage whose rows it reads; with them, the disk that stored logits take at most.
    """
    count = parameters(config)
    if isinstance(spec, DistillSpec):
        training = _training(spec, config, count)
        beside = parameters(teacher) * _BYTES[spec.dtype] if teacher else 0.0
        return Need(training.memory_bytes + int(beside), training.disk_bytes)
    if isinstance(spec, LogitsSpec):
        return Need(int(count * _BYTES[spec.dtype]), _stored_logits(spec, rows))
    if isinstance(spec, SFTSpec | GRPOSpec):
        return _training(spec, config, count)
    if isinstance(spec, MergeSpec):
        out = _BYTES[str(spec.mergekit.get("out_dtype", spec.mergekit.get("dtype", "float32")))]
        return Need(int(count * out), int(count * out))
    if isinstance(spec, GGUFSpec):
        return Need(0, int(sum(count * _gguf_bytes(kind, config) for kind in spec.types)))
    return None


def _stored_logits(spec: LogitsSpec, rows: StageSpec | None) -> int:
    """At most: every episode as long as it may be, every answer too. 0 where the number of rows is not known."""
    if not isinstance(rows, DataSpec):
        return 0
    most = rows.limit or (rows.tasks * rows.agent.rounds if rows.source == "expert" else 0)
    return most * rows.agent.answer_tokens * logit_token_bytes(spec.top_k, len(spec.temperatures))


def weights(spec: StageSpec, config: Mapping[str, Any]) -> int | None:
    """Bytes of the checkpoint that a stage leaves; None for a kind that leaves none."""
    if isinstance(spec, SFTSpec | DistillSpec | GRPOSpec):
        return int(parameters(config) * _BYTES[spec.save_dtype])
    merged = need(spec, config) if isinstance(spec, MergeSpec) else None
    return merged.disk_bytes if merged else None


def _gguf_bytes(type_: str, config: Mapping[str, Any]) -> float:
    text = config.get("text_config", config)
    whole = text["hidden_size"] % _GGUF_BLOCK == 0
    return _GGUF_BYTES[type_] if whole else _GGUF_FALLBACK_BYTES.get(type_, _GGUF_BYTES[type_])


def _training(spec: TrainingSpec, config: Mapping[str, Any], count: int) -> Need:
    width = _BYTES[spec.dtype]
    trainable = _trainable(spec, config, count)
    # peft keeps adapters in float32; a full fine-tune has gradients and AdamW's two moments in the weights' own type.
    state = trainable * (4.0 * 4 if spec.lora else width * 3)
    frozen = _NF4_BYTES if getattr(spec, "quantize", None) else width
    memory = count * frozen * _models(spec) + state + _activations(spec, config)
    saved = count * _BYTES[spec.save_dtype]
    checkpoint = trainable * (4.0 if spec.lora else width) * 3
    return Need(int(memory), int(saved + _CHECKPOINTS_KEPT * checkpoint))


def _models(spec: TrainingSpec) -> int:
    """Copies of the whole model: a KL to a reference needs a second, unless an adapter can be switched off for it."""
    return 2 if isinstance(spec, GRPOSpec) and spec.trl.get("beta") and spec.lora is None else 1


def _trainable(spec: TrainingSpec, config: Mapping[str, Any], count: int) -> int:
    if spec.lora is None:
        return count - (_vision_parameters(config.get("vision_config")) if spec.freeze else 0)
    rank = int(spec.lora.get("r", 8))
    return sum(rank * (inner + outer) for inner, outer in linear_shapes(config))


def _activations(spec: TrainingSpec, config: Mapping[str, Any]) -> int:
    text = config.get("text_config", config)
    tokens = int(spec.trl.get("max_length") or _TRL_MAX_LENGTH) + int(spec.trl.get("max_completion_length") or 0)
    kept = _RECOMPUTED if spec.trl.get("activation_checkpointing") else _KEPT
    rows = int(spec.trl.get("per_device_train_batch_size", 8))
    if isinstance(spec, GRPOSpec) and spec.environment:  # a row is an episode, and each of its steps is one to train on
        rows *= spec.environment.samples or spec.agent.rounds
        tokens += spec.agent.answer_tokens
    return int(rows * tokens * text["hidden_size"] * text["num_hidden_layers"] * kept)


def _small_vectors(text: Mapping[str, Any]) -> int:
    """Biases and norms of one attention block: Qwen2 has biases on q, k and v, Qwen3 norms q and k."""
    head = text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]
    if str(text.get("model_type", "")).startswith("qwen2"):
        return int(head * (text["num_attention_heads"] + 2 * text["num_key_value_heads"]))
    return 2 * int(head) if text.get("model_type") == "qwen3" else 0


def _vision_parameters(vision: Mapping[str, Any] | None) -> int:
    """Qwen2.5-VL's vision tower: patches, gated blocks with biases, and the merger onto the language model's width."""
    if not vision:
        return 0
    hidden, inner = vision["hidden_size"], vision["intermediate_size"]
    merge = vision.get("spatial_merge_size", 2) ** 2
    patch = vision.get("in_channels", 3) * vision.get("temporal_patch_size", 2) * vision["patch_size"] ** 2 * hidden
    attention = 4 * hidden * hidden + 4 * hidden
    gated = 3 * hidden * inner + 2 * inner + hidden
    merger = hidden + (merge * hidden) ** 2 + merge * hidden + (merge * hidden + 1) * vision["out_hidden_size"]
    return int(patch + vision["depth"] * (attention + gated + 2 * hidden) + merger)

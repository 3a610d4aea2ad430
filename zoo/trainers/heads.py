"""What stands between a causal model's last hidden states and its logits: the output layer, a scale and a soft cap.

Trainers that run the head themselves, on chosen positions alone, must do what the model's own forward does behind its
backbone. Which families scale, by which key of their config, is read as TRL reads it (`add_fused_lm_head`).
"""

from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Head", "head_of", "logits_of"]


@dataclass(frozen=True)
class Head:
    """What turns hidden states [N, H] into logits [N, V]: softcap x tanh(scale x (W h + b) / softcap)."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    scale: float = 1.0
    softcap: float | None = None

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[N, V], float32."""
        return _shaped(torch.nn.functional.linear(hidden, self.weight, self.bias), self.scale, self.softcap)


def head_of(causal: Any, vocabulary: int) -> Head:
    """The head of a causal model over its first `vocabulary` tokens: rows behind them are padding, or tokens that the
    other model does not have."""
    layer, config = causal.get_output_embeddings(), causal.config.get_text_config()
    bias = getattr(layer, "bias", None)
    return Head(
        layer.weight[:vocabulary],
        None if bias is None else bias[:vocabulary],
        _scale(config),
        getattr(config, "final_logit_softcapping", None),
    )


def logits_of(causal: Any, hidden: torch.Tensor) -> torch.Tensor:
    """[N, V] of a causal model, float32; the output layer is called and not read, so that an adapter on it counts."""
    config = causal.config.get_text_config()
    scores = causal.get_output_embeddings()(hidden)
    return _shaped(scores, _scale(config), getattr(config, "final_logit_softcapping", None))


def _shaped(scores: torch.Tensor, scale: float, softcap: float | None) -> torch.Tensor:
    scores = scores.float()
    if scale != 1.0:
        scores = scores * scale
    return scores if softcap is None else softcap * torch.tanh(scores / softcap)


def _scale(config: Any) -> float:
    """What the logits are multiplied by; a key that is there but None (MPT's) is none, and a 0 is a 0."""
    for multiplier in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        if (value := getattr(config, multiplier, None)) is not None:
            return float(value)
    scaling = getattr(config, "logits_scaling", None)
    if scaling is None:
        return 1.0
    # Granite and MiniCPM divide by what HyperCLOVA X multiplies by.
    return float(scaling if config.model_type == "hyperclovax" else 1 / scaling)

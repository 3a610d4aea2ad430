"""TRL's SFT loss with the head on answer tokens alone, for processors without Triton.

There TRL's fused head scores every position, the prompt's too, and adds up its gradient in float32. Where rows are
mostly prompt that is half of a step on a CPU: fine-tuning SmolLM2-135M on the phone's rows went from 208 to 515 tokens
a second. The loss and its gradient are TRL's (a test compares both). Not covered: images, packing, several processes,
entropy and accuracy as by-products.
"""

from typing import Any

import torch
from trl import SFTTrainer

from zoo.trainers.heads import logits_of

__all__ = ["AnswerLossTrainer", "fits"]

_IGNORED = -100


def fits(options: dict[str, Any], device: str, sees_images: bool, config: Any) -> bool:
    """Whether this loss can stand in for TRL's: the plain negative log-likelihood of padded text rows, on a CPU, of a
    model (`config` is transformers') without experts whose load TRL would balance."""
    plain = options.get("loss_type", "nll") == "nll" and not options.get("label_smoothing_factor")
    padded = not options.get("packing") and not options.get("padding_free")
    return device == "cpu" and plain and padded and not sees_images and not _balances(options, config)


def _balances(options: dict[str, Any], config: Any) -> bool:
    """Whether TRL adds a loss for the experts' balance: it turns their logits on wherever the config has the key."""
    text = config.get_text_config()
    weight = options.get("router_aux_loss_coef")
    weight = getattr(text, "router_aux_loss_coef", 0.0) if weight is None else weight
    return hasattr(text, "output_router_logits") and weight != 0.0


class AnswerLossTrainer(SFTTrainer):  # type: ignore[misc]  # TRL's classes are untyped here
    """SFTTrainer whose training loss runs the head on what counts."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The summed negative log-likelihood of the answers' tokens, divided by their number in the whole batch."""
        if return_outputs or not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        targets = inputs["labels"][:, 1:]
        answered = targets != _IGNORED
        read = {name: value for name, value in inputs.items() if name != "labels"}
        hidden = causal.base_model(**read, use_cache=False).last_hidden_state[:, :-1][answered]
        logits = logits_of(causal, hidden)
        total = torch.nn.functional.cross_entropy(logits, targets[answered], reduction="sum")
        count = answered.sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
        return total / count.clamp(min=1)

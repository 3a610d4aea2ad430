"""Muon for the matrices of hidden layers and AdamW for everything else, as one optimizer that resumes exactly.

Muon (K. Jordan, "Muon: An optimizer for hidden layers in neural networks", 2024) replaces a matrix's momentum by the
nearest orthogonal matrix; `torch.optim.Muon` computes it, for matrices only. Its updates are scaled to the size of
AdamW's (`match_rms_adamw`: 0.2 sqrt(longer side); "Muon is Scalable for LLM Training", arXiv 2502.16982). Not covered:
matrices that are split over devices (FSDP, ZeRO-3), whose parts are no matrices of their own.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from zoo.errors import ModelError
from zoo.schema import OptimizerSpec

__all__ = ["MuonWithAdamW", "install"]


class MuonWithAdamW(torch.optim.Optimizer):  # type: ignore[misc]  # torch's classes are untyped here
    """Both optimizers over one list of groups and one state, so that schedulers and checkpoints see an ordinary one.

    The first group is Muon's, the others are AdamW's.
    """

    def __init__(self, muon: torch.optim.Muon, adamw: torch.optim.AdamW | None) -> None:
        self._parts: tuple[torch.optim.Optimizer, ...] = (muon, adamw) if adamw else (muon,)
        super().__init__([group for part in self._parts for group in part.param_groups], {})
        self._share()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's state; torch puts new groups and a new state in the old ones' place."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        first, *rest = self.param_groups
        for part, groups in zip(self._parts, ([first], rest), strict=False):
            part.param_groups, part.state = groups, self.state


def install(trainer: Any, spec: OptimizerSpec | None) -> None:
    """Give a transformers Trainer that has not begun yet the recipe's optimizer; without one it makes its own.

    Raises ModelError when nothing that is trained is a matrix of a hidden layer.
    """
    if spec is None:
        return
    model, args = trainer.model, trainer.args
    matrices = dict(_matrices(model))
    if not matrices:
        raise ModelError("optimizer: muon has no matrix of a hidden layer to train; leave `optimizer` out")
    muon = torch.optim.Muon(
        matrices.values(),
        lr=spec.learning_rate or args.learning_rate,
        weight_decay=spec.weight_decay,
        momentum=spec.momentum,
        adjust_lr_fn="match_rms_adamw",
    )
    decayed = set(trainer.get_decay_parameter_names(model))
    groups = [
        {"params": parameters, "weight_decay": args.weight_decay if decays else 0.0}
        for decays in (True, False)
        if (parameters := _others(model, matrices, decayed, decays))
    ]
    usual = {"lr": args.learning_rate, "betas": (args.adam_beta1, args.adam_beta2), "eps": args.adam_epsilon}
    trainer.optimizer = MuonWithAdamW(muon, torch.optim.AdamW(groups, **usual) if groups else None)


def _matrices(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The trained matrices of hidden layers. An embedding's rows are looked up one by one: it is no map of a layer."""
    outside = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    head = model.get_output_embeddings()
    outside |= {id(head.weight)} if head is not None else set()
    for name, parameter in model.named_parameters():
        looked_up = id(parameter) in outside or "lora_embedding" in name
        if parameter.requires_grad and parameter.ndim == 2 and not looked_up:
            yield name, parameter


def _others(model: Any, matrices: dict[str, Any], decayed: set[str], decays: bool) -> list[torch.nn.Parameter]:
    return [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and name not in matrices and (name in decayed) is decays
    ]

"""Muon beside AdamW: who takes which weights, the schedule of both, and a state that comes back exactly."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_rows import Context, Rows
from transformers import AutoModelForCausalLM

from zoo.errors import ModelError
from zoo.schema import GRPOSpec, OptimizerSpec, SFTSpec
from zoo.trainers import grpo, sft
from zoo.trainers.optimizers import MuonWithAdamW, install


class Trainer:
    """What `install` reads of a transformers Trainer."""

    def __init__(self, model: Any) -> None:
        from transformers import Trainer as Real
        from transformers import TrainingArguments

        self.model = model
        self.args = TrainingArguments(output_dir="unused", learning_rate=1e-3, weight_decay=0.1, use_cpu=True)
        self.optimizer: Any = None
        self.get_decay_parameter_names = lambda model: Real.get_decay_parameter_names(self, model)  # type: ignore


@pytest.fixture
def model(tiny_llama: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)


def sft_spec(**changes: Any) -> SFTSpec:
    trl = {"max_steps": 6, "per_device_train_batch_size": 4, "learning_rate": 1e-2}
    usual: dict[str, Any] = {"dtype": "float32", "save_dtype": "float32", "checkpoint_steps": 3}
    return SFTSpec(model="a/b", data="stage:rows", trl=trl, **{**usual, **changes})


def test_matrices_of_layers_go_to_muon_and_the_rest_to_adamw(model: Any) -> None:
    trainer = Trainer(model)
    install(trainer, OptimizerSpec(name="muon", learning_rate=0.02))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    muon, *adamw = [[names[id(p)] for p in group["params"]] for group in trainer.optimizer.param_groups]
    assert len(muon) == 14 and all("_proj" in name for name in muon)
    assert adamw == [["model.embed_tokens.weight"], [name for name in names.values() if "norm" in name]]
    assert [group["lr"] for group in trainer.optimizer.param_groups] == [0.02, 1e-3, 1e-3]
    assert [group["weight_decay"] for group in trainer.optimizer.param_groups] == [0.0, 0.1, 0.0]


def test_nothing_to_orthogonalise_is_a_mistake(model: Any) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("norm" in name)
    with pytest.raises(ModelError, match="no matrix of a hidden layer"):
        install(Trainer(model), OptimizerSpec(name="muon"))


def test_a_state_that_was_saved_gives_the_same_next_step(model: Any) -> None:
    def step(of: Any, optimizer: Any, seed: int) -> None:
        ids = torch.randint(0, 200, (2, 12), generator=torch.Generator().manual_seed(seed))
        of(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    trainer = Trainer(model)
    install(trainer, OptimizerSpec(name="muon"))
    for seed in range(3):
        step(model, trainer.optimizer, seed)
    other = AutoModelForCausalLM.from_config(model.config)
    other.load_state_dict(model.state_dict())
    again = Trainer(other)
    install(again, OptimizerSpec(name="muon"))
    again.optimizer.load_state_dict(deepcopy(trainer.optimizer.state_dict()))  # torch shares its tensors
    assert isinstance(again.optimizer, MuonWithAdamW)
    for one, optimizer in ((model, trainer.optimizer), (other, again.optimizer)):
        step(one, optimizer, 9)
    theirs = other.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())


def test_a_recipe_trains_every_weight_with_muon(tiny_llama: Path, rows: Rows, context: Context) -> None:
    ctx = context(tiny_llama, rows())
    result = sft.run(sft_spec(optimizer="muon"), ctx)
    before, after = load_file(tiny_llama / "model.safetensors"), load_file(ctx.out / "model.safetensors")
    assert not any(torch.equal(before[name], after[name]) for name in before)
    assert result.notes["loss"][-1]["loss"] < result.notes["loss"][0]["loss"]


def test_grpo_takes_it_too(taught_llama: Path, rows: Rows, context: Context) -> None:
    trl = {"max_steps": 1, "per_device_train_batch_size": 4, "num_generations": 4, "max_completion_length": 16}
    usual: dict[str, Any] = {"dtype": "float32", "save_dtype": "float32", "checkpoint_steps": 1, "optimizer": "muon"}
    ctx = context(taught_llama, rows())
    grpo.run(GRPOSpec(model="a/b", data="stage:rows", trl=trl, **usual), ctx)
    state = torch.load(ctx.scratch / "checkpoints" / "checkpoint-1" / "optimizer.pt", weights_only=True)
    muon, *adamw = state["param_groups"]
    assert muon["momentum"] == 0.95 and len(muon["params"]) == 14 and all("betas" in group for group in adamw)
    with pytest.raises(ValueError, match="both set"):
        GRPOSpec(model="a/b", data="stage:rows", optimizer="muon", trl={"optim": "sgd"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimizer": "muon", "trl": {"optim": "sgd"}}, "optimizer: muon and trl.optim are both set"),
        ({"optimizer": "lion"}, "muon"),
        ({"global_batch": 8, "trl": {"gradient_accumulation_steps": 2}}, "sets trl.gradient_accumulation_steps"),
        ({"quantize": "nf4"}, "lora is needed"),
        ({"trl": {"packing": True, "packing_strategy": "wrapped", "max_length": 64}}, "lets rows see each other"),
        ({"trl": {"packing": True}}, "needs the size of a pack"),
    ],
)
def test_settings_that_contradict_each_other_are_told(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SFTSpec(model="a/b", data="stage:rows", **changes)


def test_settings_that_came_later_leave_old_keys_as_they_were() -> None:
    written = SFTSpec(model="a/b", data="stage:rows").model_dump(mode="json")
    assert not {"optimizer", "global_batch", "quantize"} & written.keys()
    assert SFTSpec.model_validate(SFTSpec(model="a/b", data="stage:rows", optimizer="muon").model_dump()).optimizer

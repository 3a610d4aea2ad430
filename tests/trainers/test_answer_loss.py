"""Our loss over answers against TRL's own: the same number, the same gradient."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from zoo.trainers.answer_loss import AnswerLossTrainer, fits

ROWS = [
    {
        "prompt": [{"role": "user", "content": f"Open the app {number}." * (1 + number % 3)}],
        "completion": [{"role": "assistant", "content": f"tap({number})"}],
    }
    for number in range(4)
]


HEADS = {"Granite": {"logits_scaling": 4.0}, "Gemma2": {"final_logit_softcapping": 0.2}}
"""What these families do to their logits; a loss on bare ones would be another."""


@pytest.fixture(scope="module", params=["Llama", *HEADS])
def family(request: pytest.FixtureRequest, tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of each family with the same tokenizer."""
    if request.param == "Llama":
        return tiny_llama
    folder = tmp_path_factory.mktemp(request.param)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (tiny_llama / file).is_file():
            shutil.copyfile(tiny_llama / file, folder / file)
    torch.manual_seed(0)
    config = getattr(transformers, f"{request.param}Config")(
        vocab_size=len(AutoTokenizer.from_pretrained(folder)), hidden_size=32, intermediate_size=32, head_dim=16,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, **HEADS[request.param],
    )  # fmt: skip
    getattr(transformers, f"{request.param}ForCausalLM")(config).save_pretrained(folder)
    return folder


def loss_and_gradients(
    trainer_class: Any, checkpoint: Path, folder: Path, lora: LoraConfig | None, items: int | None
) -> tuple[float, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    options = {"output_dir": str(folder), "use_cpu": True, "bf16": False, "report_to": "none", "max_length": None}
    trainer = trainer_class(
        model=AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32),
        args=SFTConfig(**options, activation_checkpointing=False, per_device_train_batch_size=4),
        train_dataset=Dataset.from_list(ROWS),
        processing_class=AutoTokenizer.from_pretrained(checkpoint),
        peft_config=lora,
    )
    trainer.model.train()
    batch = trainer.data_collator([trainer.train_dataset[number] for number in range(4)])
    count = None if items is None else torch.tensor(items)
    loss = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=count)
    loss.backward()
    gradients = {name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None}
    return float(loss.detach()), gradients


@pytest.mark.parametrize("adapter", [False, True])
@pytest.mark.parametrize("items", [None, 97])
def test_the_loss_and_its_gradient_are_those_of_trl(
    family: Path, tmp_path: Path, adapter: bool, items: int | None
) -> None:
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM") if adapter else None
    expected, theirs = loss_and_gradients(SFTTrainer, family, tmp_path / "trl", lora, items)
    found, ours = loss_and_gradients(AnswerLossTrainer, family, tmp_path / "ours", lora, items)
    assert found == pytest.approx(expected, rel=1e-5)
    assert ours.keys() == theirs.keys() and len(ours) > 10
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-6)


def test_it_stands_in_only_for_what_it_computes() -> None:
    llama = transformers.LlamaConfig()
    assert fits({}, "cpu", False, llama)
    assert not fits({}, "cuda", False, llama)
    assert not fits({}, "cpu", True, llama)
    for other in ({"loss_type": "dft"}, {"packing": True}, {"padding_free": True}, {"label_smoothing_factor": 0.1}):
        assert not fits(other, "cpu", False, llama)


def test_experts_whose_load_is_balanced_are_left_to_trl(tiny_llama: Path, tmp_path: Path) -> None:
    config = transformers.MixtralConfig(
        vocab_size=len(AutoTokenizer.from_pretrained(tiny_llama)), hidden_size=16, intermediate_size=16,
        num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, num_local_experts=2,
    )  # fmt: skip
    for options in ({}, {"router_aux_loss_coef": 0.0}, {"router_aux_loss_coef": 0.1}):
        args = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", **options)
        trainer = SFTTrainer(
            transformers.MixtralForCausalLM(config), args, train_dataset=Dataset.from_list(ROWS),
            processing_class=AutoTokenizer.from_pretrained(tiny_llama),
        )  # fmt: skip
        config.router_aux_loss_coef = transformers.MixtralConfig().router_aux_loss_coef
        assert fits(options, "cpu", False, config) == (not trainer.aux_loss_enabled)
    assert not fits({}, "cpu", False, config) and fits({"router_aux_loss_coef": 0.0}, "cpu", False, config)

"""Our loss over answers against TRL's own: the same number, the same gradient."""

from pathlib import Path
from typing import Any

import pytest
import torch
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
    tiny_llama: Path, tmp_path: Path, adapter: bool, items: int | None
) -> None:
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM") if adapter else None
    expected, theirs = loss_and_gradients(SFTTrainer, tiny_llama, tmp_path / "trl", lora, items)
    found, ours = loss_and_gradients(AnswerLossTrainer, tiny_llama, tmp_path / "ours", lora, items)
    assert found == pytest.approx(expected, rel=1e-5)
    assert ours.keys() == theirs.keys() and len(ours) > 10
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-6)


def test_it_stands_in_only_for_what_it_computes() -> None:
    assert fits({}, "cpu", sees_images=False)
    assert not fits({}, "cuda", sees_images=False)
    assert not fits({}, "cpu", sees_images=True)
    for other in ({"loss_type": "dft"}, {"packing": True}, {"padding_free": True}, {"label_smoothing_factor": 0.1}):
        assert not fits(other, "cpu", sees_images=False)

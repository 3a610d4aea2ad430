"""Fine-tuning tiny real models: what is trained, what stays, what is written."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_rows import Context, Rows

from zoo import checkpoint
from zoo.errors import ModelError
from zoo.schema import SFTSpec
from zoo.trainers import sft

LORA = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}


def spec(lora: dict[str, Any] | None = None, **changes: Any) -> SFTSpec:
    trl = {"max_steps": 6, "per_device_train_batch_size": 4, "learning_rate": 1e-2, **changes.pop("trl", {})}
    usual = {"dtype": "float32", "save_dtype": "float32", "checkpoint_steps": 3}
    return SFTSpec(model="a/b", data="stage:rows", lora=lora, trl=trl, **{**usual, **changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_full_training_changes_every_parameter(tiny_llama: Path, rows: Rows, context: Context) -> None:
    ctx = context(tiny_llama, rows())
    result = sft.run(spec(), ctx)
    before, after = weights(tiny_llama), weights(ctx.out)
    assert before.keys() == after.keys() and len(after) == 20
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    assert result.metrics["trainable_parameters"].value == sum(tensor.numel() for tensor in before.values())


def test_the_loss_falls_and_the_record_says_so(tiny_llama: Path, rows: Rows, context: Context) -> None:
    told: list[tuple[int, int | None, dict[str, float | str]]] = []
    ctx = context(tiny_llama, rows(), progress=lambda step, total=None, **fields: told.append((step, total, fields)))
    result = sft.run(spec(trl={"max_steps": 30}), ctx)
    history = result.notes["loss"]
    assert [point["step"] for point in history] == list(range(1, 31))
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert result.metrics["train_loss"].value == pytest.approx(sum(p["loss"] for p in history[-3:]) / 3)
    assert result.metrics["steps"].value == 30 and result.metrics["tokens_per_second"].value > 0
    assert [(step, total) for step, total, _ in told] == [(step, 30) for step in range(1, 31)]
    assert told[-1][2]["loss"] == history[-1]["loss"] and "tokens_per_second" in told[-1][2]


def test_the_tokens_of_the_record_are_those_of_the_rows(tiny_llama: Path, rows: Rows, context: Context) -> None:
    from transformers import AutoTokenizer

    from zoo.trainers.preflight import read_rows, row_tokens

    data = rows(8)
    result = sft.run(spec(trl={"max_steps": 2}), context(tiny_llama, data))
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    assert result.metrics["tokens"].value == sum(
        row_tokens(row, tokenizer) for row in read_rows(data, ("prompt", "completion"))
    )


def test_the_loss_is_on_the_answer_and_its_stop_token_only(tiny_llama: Path, rows: Rows, context: Context) -> None:
    from transformers import AutoTokenizer

    from zoo.trainers import examples

    data = rows(4)
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    assert tokenizer.pad_token == tokenizer.eos_token, "the case in which a collator could mask the stop token away"
    made = examples.prepare(data, tokenizer, tiny_llama, None)
    trainer = sft._trainer(spec(), context(tiny_llama, data), made, None)
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["labels"].shape[0] == 4
    for labels in batch["labels"]:
        said = tokenizer.decode(labels[labels != -100])
        assert said.startswith("<REASONING>") and said.endswith("</CALLED_FUNCTION><|im_end|>\n")


def test_an_adapter_is_merged_in_float32_and_kept_beside(tiny_llama: Path, rows: Rows, context: Context) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ctx = context(tiny_llama, rows())
    result = sft.run(spec(LORA, dtype="bfloat16"), ctx)
    base = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    expected = PeftModel.from_pretrained(base, ctx.out / "adapter").merge_and_unload().state_dict()
    made = weights(ctx.out)
    assert all(torch.equal(made[name], expected[name]) for name in made) and len(made) == 20
    moved = [name for name, tensor in weights(tiny_llama).items() if not torch.equal(tensor, made[name])]
    assert len(moved) == 14 and all("_proj" in name for name in moved)
    assert result.metrics["trainable_parameters"].value == 8192


def test_a_frozen_vision_tower_stays_bit_identical(tiny_vlm: Path, rows: Rows, context: Context) -> None:
    ctx = context(tiny_vlm, rows(8, images=True))
    sft.run(spec(freeze=("model.visual",)), ctx)
    before, after = weights(tiny_vlm), weights(ctx.out)
    vision = [name for name in before if "visual" in name]
    assert before.keys() == after.keys() and len(vision) > 20
    assert all(torch.equal(before[name], after[name]) for name in vision)
    assert not any(torch.equal(before[name], after[name]) for name in before if name not in vision)


def test_what_a_model_sees_is_trained_on(tiny_vlm: Path, rows: Rows, context: Context) -> None:
    ctx = context(tiny_vlm, rows(8, images=True))
    sft.run(spec(), ctx)
    before, after = weights(tiny_vlm), weights(ctx.out)
    vision = [name for name in before if "visual" in name]
    assert [name for name in vision if torch.equal(before[name], after[name])] == []


def test_an_adapter_leaves_a_frozen_part_alone(tiny_vlm: Path, rows: Rows, context: Context) -> None:
    ctx = context(tiny_vlm, rows(8, images=True))
    sft.run(spec(LORA, freeze=("model.visual",)), ctx)
    before, after = weights(tiny_vlm), weights(ctx.out)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert moved and not any("visual" in name for name in moved)


def test_a_prefix_that_freezes_nothing_is_a_mistake(tiny_llama: Path, rows: Rows, context: Context) -> None:
    with pytest.raises(ModelError, match=r"no parameter starts with 'model\.vision'.*they start with model\.embed"):
        sft.run(spec(freeze=("model.vision",)), context(tiny_llama, rows()))
    with pytest.raises(ModelError, match="leaves nothing to train"):
        sft.run(spec(freeze=("model",)), context(tiny_llama, rows(), "again"))


def test_what_is_written_is_a_whole_checkpoint(tiny_llama: Path, rows: Rows, context: Context) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ctx = context(tiny_llama, rows())
    sft.run(spec(LORA, save_dtype="bfloat16"), ctx)
    tokenizer = AutoTokenizer.from_pretrained(ctx.out)
    model = AutoModelForCausalLM.from_pretrained(ctx.out)
    assert model.dtype == torch.bfloat16
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(tiny_llama).chat_template
    config = {**json.loads((ctx.out / "config.json").read_text("utf-8"))}
    was = json.loads((tiny_llama / "config.json").read_text("utf-8"))
    changed = {key for key in config.keys() | was.keys() if config.get(key) != was.get(key)}
    assert changed == {"dtype", "torch_dtype"}
    assert sorted(path.name for path in (ctx.out / "adapter").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors"
    ]  # fmt: skip


def test_nothing_that_is_written_names_a_folder_of_this_machine(tiny_llama: Path, rows: Rows, context: Context) -> None:
    ctx = context(tiny_llama, rows())
    sft.run(spec(LORA), ctx)
    texts = [path for path in ctx.out.rglob("*") if path.suffix in (".json", ".jinja", ".md")]
    assert len(texts) >= 6
    for path in texts:
        assert str(tiny_llama.parent) not in path.read_text("utf-8"), path.name


def test_a_vision_checkpoint_keeps_its_processor(tiny_vlm: Path, rows: Rows, context: Context) -> None:
    from zoo.image_processor import load_image_processor

    ctx = context(tiny_vlm, rows(4, images=True))
    sft.run(spec(LORA, freeze=("model.visual",), trl={"max_steps": 1}), ctx)
    assert load_image_processor(ctx.out).image_processor.size == load_image_processor(tiny_vlm).image_processor.size
    assert checkpoint.tensors(ctx.out).keys() == checkpoint.tensors(tiny_vlm).keys()


def test_the_same_seed_gives_the_same_bits(tiny_llama: Path, rows: Rows, context: Context) -> None:
    data = rows()
    made = []
    for name in ("a", "b"):
        ctx = context(tiny_llama, data, name)
        sft.run(spec({**LORA, "lora_dropout": 0.1}), ctx)
        made.append((ctx.out / "model.safetensors").read_bytes())
    assert made[0] == made[1]


def test_packing_takes_its_size_from_the_recipe(tiny_llama: Path, rows: Rows, context: Context) -> None:
    packed = spec(trl={"packing": True, "max_length": 256, "max_steps": 2, "per_device_train_batch_size": 1})
    result = sft.run(packed, context(tiny_llama, rows()))
    assert 1.5 * result.notes["longest_row_tokens"] < result.metrics["tokens"].value / 2 <= 256


def test_a_loss_that_is_no_number_names_the_step_and_the_last_good_checkpoint(
    tiny_llama: Path, rows: Rows, context: Context
) -> None:
    ctx = context(tiny_llama, rows())
    wild = spec(trl={"learning_rate": 1e30, "max_grad_norm": 0.0, "lr_scheduler_type": "constant"}, checkpoint_steps=1)
    with pytest.raises(ModelError, match=r"is nan at step \d+; .*checkpoint.*; lower `learning_rate`"):
        sft.run(wild, ctx)
    assert list(ctx.out.iterdir()) == []

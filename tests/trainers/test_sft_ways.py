"""Ways of fine-tuning beside the usual one: packing, DFT, NEFTune, QLoRA, plain text, conversations, a global batch."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_rows import Context, Rows, phone_row, write_rows
from transformers import AutoModelForCausalLM, AutoTokenizer

from zoo.errors import EnvironmentFailure, ModelError
from zoo.schema import SFTSpec
from zoo.trainers import examples, loading, preflight, sft

TALK = [
    {"role": "user", "content": "Open the clock."},
    {"role": "assistant", "content": "tap(3)"},
    {"role": "user", "content": "Go back."},
    {"role": "assistant", "content": "back()"},
]


def spec(**changes: Any) -> SFTSpec:
    trl = {"max_steps": 2, "per_device_train_batch_size": 2, "learning_rate": 1e-2, **changes.pop("trl", {})}
    if "global_batch" in changes:
        trl.pop("per_device_train_batch_size")
    usual: dict[str, Any] = {"dtype": "float32", "save_dtype": "float32", "checkpoint_steps": 2}
    return SFTSpec(model="a/b", data="stage:rows", trl=trl, **{**usual, **changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def trainer_of(tiny: Path, ctx: Any, made: SFTSpec) -> Any:
    processor = preflight.load_processor(tiny)
    prepared = examples.prepare(ctx.inputs["data"], processor, tiny, made.trl.get("max_length"))
    return sft._trainer(made, ctx, prepared, None)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_rows_do_not_see_each_other(tiny_llama: Path, rows: Rows, context: Context, attention: str) -> None:
    packed = spec(attention=attention, trl={"packing": True, "max_length": 256, "per_device_train_batch_size": 1})
    trainer = trainer_of(tiny_llama, context(tiny_llama, rows()), packed)
    batch = next(iter(trainer.get_train_dataloader()))
    starts = [*(batch["position_ids"][0] == 0).nonzero().flatten().tolist(), batch["input_ids"].shape[1]]
    assert len(starts) > 2, "a pack of one row shows nothing"
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32, attn_implementation=attention)
    with torch.inference_mode():
        together = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits[0]
        for start, end in pairwise(starts):
            alone = model(input_ids=batch["input_ids"][:, start:end]).logits[0]
            torch.testing.assert_close(together[start:end], alone, rtol=1e-4, atol=1e-5)


def test_packing_is_refused_where_rows_would_see_each_other(tiny_llama: Path, tiny_vlm: Path) -> None:
    preflight.check_packing({"packing": True}, tiny_llama)
    preflight.check_packing({}, tiny_vlm)
    with pytest.raises(ModelError, match="lets rows see each other; write bfd"):
        preflight.check_packing({"packing": True, "packing_strategy": "wrapped"}, tiny_llama)
    with pytest.raises(ModelError, match="sees images"):
        preflight.check_packing({"packing": True}, tiny_vlm)


@pytest.mark.parametrize("options", [{"loss_type": "dft"}, {"neftune_noise_alpha": 5.0}, {"padding_free": True}])
def test_an_option_of_trl_reaches_it_and_changes_the_step(
    tiny_llama: Path, rows: Rows, context: Context, options: dict[str, Any]
) -> None:
    data = rows(8)
    made = spec(trl={"max_steps": 1, **options})
    trainer = trainer_of(tiny_llama, context(tiny_llama, data, "asked"), made)
    assert all(getattr(trainer.args, name) == value for name, value in options.items())
    plain, other = context(tiny_llama, data, "plain"), context(tiny_llama, data, "other")
    usual = sft.run(spec(trl={"max_steps": 1}), plain).notes["loss"][0]["loss"]
    found = sft.run(made, other).notes["loss"][0]["loss"]
    if "padding_free" in options:
        assert found == pytest.approx(usual, rel=1e-5)  # the same rows, only laid end to end
    else:
        assert found != usual


def test_dft_weighs_every_token_by_its_own_probability(tiny_llama: Path, rows: Rows, context: Context) -> None:
    made = spec(trl={"loss_type": "dft", "max_steps": 1, "per_device_train_batch_size": 4})
    trainer = trainer_of(tiny_llama, context(tiny_llama, rows(4)), made)
    batch = next(iter(trainer.get_train_dataloader()))
    found = trainer.compute_loss(trainer.model.train(), dict(batch))
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    targets = batch["labels"][:, 1:]
    chosen = logits.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0][targets != -100]
    assert float(found) == pytest.approx(float(-(chosen.exp() * chosen).mean()), rel=1e-4)


def test_plain_text_is_trained_on_every_token(tmp_path: Path, tiny_llama: Path, context: Context) -> None:
    data = write_rows(tmp_path / "texts", [{"text": "Set the alarm for seven. " * 12}] * 6)
    ctx = context(tiny_llama, data)
    result = sft.run(spec(trl={"max_steps": 8, "max_length": 64, "packing": True}), ctx)
    assert result.notes["loss"][-1]["loss"] < 0.9 * result.notes["loss"][0]["loss"]
    assert result.notes["rows"] == 6 and result.notes["pieces"] > 6 and result.notes["longest_row_tokens"] <= 64
    assert not any(torch.equal(a, weights(ctx.out)[name]) for name, a in weights(tiny_llama).items())


def test_conversations_are_trained_and_the_checkpoint_keeps_its_own_template(
    tmp_path: Path, tiny_llama: Path, context: Context
) -> None:
    ctx = context(tiny_llama, write_rows(tmp_path / "talks", [{"messages": TALK}] * 4))
    result = sft.run(spec(), ctx)
    assert result.notes["training_template"] == "chatml"
    saved, base = (AutoTokenizer.from_pretrained(folder).chat_template for folder in (ctx.out, tiny_llama))
    assert saved == base and "generation %" not in saved


def test_conversations_about_pictures_count_the_assistant_only(
    tmp_path: Path, tiny_vlm: Path, rows: Rows, context: Context
) -> None:
    from zoo.image_processor import load_image_processor

    data = rows(4, images=True)
    made = [json.loads(line) for line in (data / "rows.jsonl").read_text("utf-8").splitlines()]
    write_rows(data, [{"messages": TALK, "images": row["images"]} for row in made])
    ctx = context(tiny_vlm, data)
    trainer = trainer_of(tiny_vlm, ctx, spec())
    batch = next(iter(trainer.get_train_dataloader()))
    tokenizer = load_image_processor(tiny_vlm).tokenizer
    for labels in batch["labels"]:
        assert tokenizer.decode(labels[labels != -100]) == "tap(3)<|im_end|>back()<|im_end|>"
    result = sft.run(spec(freeze=("model.visual",)), ctx)
    assert result.notes["training_template"] == "chatml"
    assert load_image_processor(ctx.out).chat_template == load_image_processor(tiny_vlm).chat_template


def test_four_bits_are_trained_through_and_merged_into_whole_weights(
    tiny_llama: Path, rows: Rows, context: Context
) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra `qlora` is not installed")
    ctx = context(tiny_llama, rows(8))
    lora = {"r": 4, "target_modules": "all-linear"}
    trainer = trainer_of(tiny_llama, ctx, spec(lora=lora, quantize="nf4"))
    layer = trainer.model.base_model.model.model.layers[0].self_attn.q_proj.base_layer
    assert type(layer).__name__ == "Linear4bit" and layer.weight.quant_type == "nf4"
    sft.run(spec(lora=lora, quantize="nf4"), ctx)
    before, after = weights(tiny_llama), weights(ctx.out)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert len(moved) == 14 and all(after[name].dtype == torch.float32 for name in after)
    far = max(float((after[name] - before[name]).abs().max()) for name in moved)
    assert far < 0.05, "adapters belong on the whole weights, not on the rounded ones"


def test_four_bits_without_their_library_are_refused() -> None:
    with pytest.raises(EnvironmentFailure, match=r"needs bitsandbytes.*pip install 'edgezoo\[qlora\]'"):
        loading.check_quantized("nf4", find=lambda name: None)
    loading.check_quantized(None, find=lambda name: None)


def test_a_global_batch_gives_the_same_model_however_it_is_shared_out(
    tiny_llama: Path, rows: Rows, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.trainers import global_batch

    data = rows(16)
    made = []
    for most in (8, 2):
        monkeypatch.setattr(global_batch, "_MOST_ROWS_ON_A_CPU", most)
        ctx = context(tiny_llama, data, f"at-{most}")
        result = sft.run(spec(global_batch=8), ctx)
        assert result.notes["batch"] == {"devices": 1, "rows": most, "passes": 8 // most}
        made.append(weights(ctx.out))
    for name, tensor in made[0].items():
        torch.testing.assert_close(tensor, made[1][name], rtol=1e-3, atol=1e-4)


def test_rows_of_phones_are_unchanged_by_what_came_later(tmp_path: Path, tiny_llama: Path) -> None:
    data = write_rows(tmp_path / "phone", [phone_row(0)])
    made = examples.prepare(data, preflight.load_processor(tiny_llama), tiny_llama, None)
    assert made.dataset.column_names == ["prompt", "completion"] and made.prompts and not made.options

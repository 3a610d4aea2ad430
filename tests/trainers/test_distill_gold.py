"""A teacher with other tokens teaches through TRL's GOLD."""

from pathlib import Path
from typing import Any

import pytest
from killed import Kill, Run, killed, uninterrupted
from training_rows import Context, Rows

from zoo.errors import DataError
from zoo.records import StageContext
from zoo.schema import DistillSpec
from zoo.trainers import distill

SETTINGS = {
    "model": "a/b", "teacher": "a/c", "data": "stage:rows", "gold": True, "dtype": "float32", "save_dtype": "float32",
    "checkpoint_steps": 2, "lmbda": 0.5, "rollouts": {"answer_tokens": 8},
    "trl": {"max_steps": 5, "per_device_train_batch_size": 4, "learning_rate": 1e-2},
}  # fmt: skip


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with a tokenizer that cuts text otherwise."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from zoo import checkpoint

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )  # fmt: skip
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(["Tap button 1. button button the home", "tap(1) tap(2)"], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(fast), max_position_embeddings=512, **sizes))
    folder = tmp_path_factory.mktemp("stranger")
    checkpoint.save(model, fast, folder, "float32")
    return folder


def test_a_teacher_with_other_tokens_teaches(tiny_llama: Path, stranger: Path, rows: Rows, context: Context) -> None:
    ctx = context(tiny_llama, rows())
    ctx = StageContext(ctx.out, ctx.scratch, {**ctx.inputs, "teacher": stranger}, ctx.seed)
    result = distill.run(DistillSpec.model_validate(SETTINGS), ctx)
    losses = [point["loss"] for point in result.notes["loss"]]
    assert len(losses) == 5 and losses[-1] < losses[0]
    before = (tiny_llama / "model.safetensors").read_bytes()
    assert (ctx.out / "model.safetensors").read_bytes() != before


def test_kills_change_nothing(tmp_path: Path, tiny_llama: Path, stranger: Path, rows: Rows) -> None:
    inputs = {"model": tiny_llama, "data": rows(), "teacher": stranger}
    settings: dict[str, Any] = {"kind": "distill", **SETTINGS}
    expected = uninterrupted(Run("distill", settings, tmp_path / "whole", inputs))
    outcome, left = killed(Run("distill", settings, tmp_path / "killed", inputs), [Kill(3, 0.02)])
    assert outcome == expected and left[0] in ("checkpoint-2", "checkpoint-4")


def test_rows_of_several_answers_or_with_functions_are_refused(
    tiny_llama: Path, stranger: Path, tmp_path: Path, rows: Rows, context: Context
) -> None:
    from training_rows import phone_row, write_rows

    row = phone_row(0)
    offered = [{"type": "function", "function": {"name": "weather", "description": "", "parameters": {}}}]
    for name, changes, words in (
        ("several", {"completion": row["completion"] * 2}, r"row 1 \(tap-0\) is not one answer in text"),
        ("offering", {"tools": offered}, r"row 1 \(tap-0\) offers `tools`, which gold would leave out"),
    ):
        ctx = context(tiny_llama, write_rows(tmp_path / name / "data", [{**row, **changes}]), name)
        ctx = StageContext(ctx.out, ctx.scratch, {**ctx.inputs, "teacher": stranger}, ctx.seed)
        with pytest.raises(DataError, match=words):
            distill.run(DistillSpec.model_validate(SETTINGS), ctx)

"""A teacher with another tokenizer: TRL's experimental GOLD trainer, on rows of one answer each.

Text spans that both tokenizers cut alike are aligned, and the sorted probabilities of both compared (ULD, Boizard et
al., arXiv 2402.12030). A recipe's `weights`, `temperature` and `lmbda` are handed to it. Not covered: the square of the
temperature, which this loss has no use for; stored logits; worlds; tokenizers that are not byte-level.
"""

from pathlib import Path
from typing import Any

from zoo import checkpoint
from zoo.errors import DataError, ModelError
from zoo.records import StageContext
from zoo.schema import DistillSpec
from zoo.trainers import loading, session

__all__ = ["gold_trainer"]


def gold_trainer(spec: DistillSpec, ctx: StageContext, rows: list[dict[str, Any]], tokenizer: Any, longest: int) -> Any:
    """The trainer, its teacher loaded.

    `longest`: tokens of the longest row. Raises DataError for a row with images, with functions or of several
    answers, or that is too long for the teacher, ModelError for a tokenizer whose cuts cannot be aligned.
    """
    from trl.experimental.gold import GOLDConfig, GOLDTrainer

    for number, row in enumerate(rows, 1):
        if row.get("images") or len(row["completion"]) != 1:
            raise DataError(f"row {number} ({row.get('task', 'no task')}) is not one answer in text, which gold needs")
        if row.get("tools"):
            raise DataError(f"row {number} ({row.get('task', 'no task')}) offers `tools`, which gold would leave out")
    teacher = ctx.inputs["teacher"]
    _check_teacher(spec, teacher, rows, tokenizer)
    args = session.config(
        GOLDConfig,
        {
            **session.settings(spec.checkpoint_steps, ctx),
            "include_num_input_tokens_seen": "non_padding",
            "use_uld_loss": True,
            "teacher_tokenizer_name_or_path": str(teacher),
            "lmbda": spec.lmbda,
            "temperature": spec.rollouts.temperature,
            "top_p": 1.0,
            "max_completion_length": spec.rollouts.answer_tokens,
            # It cuts what is longer; nothing is, and an answer of the student's own has its room too.
            "max_length": longest + spec.rollouts.answer_tokens,
            "uld_student_temperature": spec.temperature,
            "uld_teacher_temperature": spec.temperature,
            "uld_crossentropy_weight": spec.weights.behaviour,
            "uld_distillation_weight": spec.weights.logits,
            **spec.trl,
        },
    )
    model = loading.load_model(teacher, spec.dtype, spec.attention).to(args.device).eval().requires_grad_(False)
    messages = [{"messages": [*row["prompt"], *row["completion"]]} for row in rows]
    trainer = GOLDTrainer(
        model=loading.load_model(ctx.inputs["model"], spec.dtype, spec.attention),
        teacher_model=model,
        args=args,
        train_dataset=loading.load_dataset(messages, ("messages",)),
        processing_class=tokenizer,
        peft_config=loading.lora_config(spec.lora),
    )
    loading.freeze(trainer.model, spec.freeze)
    return trainer


def _check_teacher(spec: DistillSpec, teacher: Path, rows: list[dict[str, Any]], tokenizer: Any) -> None:
    from transformers import AutoTokenizer
    from trl.experimental.utils import is_byte_level_tokenizer

    theirs = AutoTokenizer.from_pretrained(teacher)
    both = (tokenizer, theirs)
    if spec.trl.get("use_extended_uld", True) and not all(
        is_byte_level_tokenizer(one.backend_tokenizer) for one in both
    ):
        raise ModelError(
            "gold aligns texts by the bytes of byte-level tokenizers, and one of the two is none; write "
            "use_extended_uld: false under trl, which compares place by place"
        )
    most = checkpoint.facts(teacher).positions - spec.rollouts.answer_tokens * bool(spec.lmbda)
    for number, row in enumerate(rows, 1):
        text = tokenizer.apply_chat_template([*row["prompt"], *row["completion"]], tokenize=False)
        if (length := len(theirs(text, add_special_tokens=False)["input_ids"])) > most:
            raise DataError(
                f"row {number} ({row.get('task', 'no task')}) is {length} tokens to the teacher, which reads {most}; "
                "shorten the rows, or take a teacher with a longer context"
            )

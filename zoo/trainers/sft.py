"""Supervised fine-tuning: TRL's SFTTrainer on prompts and completions, the loss on the completions only."""

from typing import Any

from zoo.records import Metric, StageContext, StageResult
from zoo.schema import SFTSpec
from zoo.trainers import loading, preflight, session

__all__ = ["run"]


def run(spec: SFTSpec, ctx: StageContext) -> StageResult:
    """Train, and leave a whole checkpoint in `ctx.out`.

    Raises DataError for rows that do not fit and ModelError for a checkpoint that cannot be trained, both before
    weights are loaded, and ModelError when the loss is no number.
    """
    base = ctx.inputs["model"]
    rows = preflight.read_rows(ctx.inputs["data"], ("prompt", "completion"))
    processor = preflight.load_processor(base)
    preflight.check_template(processor, rows[0])
    longest = preflight.check_lengths(rows, processor, base, spec.trl.get("max_length"))
    trainer = _trainer(spec, ctx, rows, processor)
    metrics = session.train(trainer, ctx)
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    loading.write_trained(trainer.model, processor, base, ctx.out, spec.save_dtype)
    metrics["train_loss"] = Metric(session.mean_of_share([entry["loss"] for entry in history], last=True), "nats")
    notes = {"loss": session.thinned(history, ["loss"]), "rows": len(rows), "longest_row_tokens": longest}
    return StageResult(metrics, notes)


def _trainer(spec: SFTSpec, ctx: StageContext, rows: list[dict[str, Any]], processor: Any) -> Any:
    from trl import SFTConfig, SFTTrainer

    from zoo.trainers.answer_loss import AnswerLossTrainer, fits

    # Nothing is longer than `max_length`: that was checked, so TRL need not look, and may not cut an image in two.
    # Packing alone needs the number, as the size of a pack.
    most = spec.trl.get("max_length") if spec.trl.get("packing") else None
    options = {
        **session.settings(spec.checkpoint_steps, ctx),
        "include_num_input_tokens_seen": "non_padding",
        **spec.trl,
        "max_length": most,
    }
    images = "images" in rows[0]
    trainer = (AnswerLossTrainer if fits(spec.trl, ctx.device, images) else SFTTrainer)(
        model=loading.load_model(ctx.inputs["model"], spec.dtype, spec.attention),
        args=SFTConfig(**options),
        train_dataset=loading.load_dataset(rows, ("prompt", "completion")),
        processing_class=processor,
        peft_config=loading.lora_config(spec.lora),
    )
    loading.freeze(trainer.model, spec.freeze)
    return trainer

"""Supervised fine-tuning: TRL's SFTTrainer on completions, on conversations, or on plain text.

Covered: LoRA, QLoRA and all weights, packing that keeps documents apart, Muon, several processes that share one batch.
Not covered: weights that are split over devices (FSDP, ZeRO).
"""

from typing import Any

from zoo import estimate
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import SFTSpec
from zoo.trainers import examples, global_batch, history, loading, optimizers, preflight, session
from zoo.trainers.examples import Examples

__all__ = ["run"]


def run(spec: SFTSpec, ctx: StageContext) -> StageResult:
    """Train, and leave a whole checkpoint and `history.jsonl` in `ctx.out`.

    Raises DataError for rows that do not fit and ModelError for a checkpoint that cannot be trained, both before
    weights are loaded, and ModelError when the loss is no number or rises far above where it began.
    """
    base = ctx.inputs["model"]
    processor = preflight.load_processor(base)
    made = examples.prepare(ctx.inputs["data"], processor, base, spec.trl.get("max_length"))
    preflight.check_packing(spec.trl, base)
    loading.check_quantized(spec.quantize)
    loading.check_parts(base, spec.lora, spec.freeze)
    batch = global_batch.here(spec, base, made.longest, ctx.device)
    trainer = _trainer(spec, ctx, made, batch)
    metrics = session.train(trainer, ctx)
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    metrics["train_loss"] = Metric(session.mean_of_share([entry["loss"] for entry in entries], last=True), "nats")
    notes = {"loss": session.thinned(entries, ["loss"]), "longest_row_tokens": made.longest, **made.notes}
    notes["parameters"] = estimate.parameters(loading.config(base))
    if batch:
        notes["batch"] = batch.as_data()
    if session.is_first():
        loading.write_trained(trainer.model, processor, base, ctx.out, spec.save_dtype)
        history.write(entries, ctx.out)
    return StageResult(metrics, notes)


def _trainer(spec: SFTSpec, ctx: StageContext, made: Examples, batch: global_batch.Batch | None) -> Any:
    from trl import SFTConfig, SFTTrainer

    from zoo.trainers.answer_loss import AnswerLossTrainer, fits

    # Nothing is longer than `max_length`: that was checked, so TRL need not look, and may not cut an image in two.
    # Packing alone needs the number, as the size of a pack.
    most = spec.trl.get("max_length") if spec.trl.get("packing") else None
    options = {
        **session.settings(spec.checkpoint_steps, ctx),
        "include_num_input_tokens_seen": "non_padding",
        **spec.trl,
        **made.options,
        **(batch.options() if batch else {}),
        "max_length": most,
    }
    images = "images" in made.dataset.column_names
    args, adapter = session.config(SFTConfig, options), loading.lora_config(spec.lora)
    alone = made.prompts and session.processes() == 1
    model = loading.load_model(ctx.inputs["model"], spec.dtype, spec.attention, spec.quantize)
    trainer = (AnswerLossTrainer if alone and fits(spec.trl, ctx.device, images, model.config) else SFTTrainer)(
        model=model,
        args=args,
        train_dataset=made.dataset,
        processing_class=made.processor,
        peft_config=adapter,
    )
    loading.freeze(trainer.model, spec.freeze)
    optimizers.install(trainer, spec.optimizer)
    return trainer

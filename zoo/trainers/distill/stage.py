"""The stage `distill`: a student learns from rows and a teacher, by TRL's SFTTrainer with other losses."""

from collections.abc import Sequence
from typing import Any

from zoo import checkpoint
from zoo.environments import Task
from zoo.errors import DataError, EnvironmentFailure
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import DistillSpec
from zoo.trainers import loading, optimizers, preflight, session
from zoo.trainers.distill.rollouts import WorldTurns, drawn_tasks, played
from zoo.trainers.distill.rows import TokenRow, tokenize
from zoo.trainers.distill.store import LogitStore
from zoo.trainers.history import write as write_history
from zoo.vocabularies import check_folders, tokens_in

__all__ = ["run"]

_ROUNDS = "rounds"
_PARTS = ("behaviour", "chain_of_thought", "divergence", "own_answers")


def run(spec: DistillSpec, ctx: StageContext) -> StageResult:
    """Train, and leave a whole checkpoint and `history.jsonl` in `ctx.out`.

    Raises DataError for rows or tasks that do not fit or that the stored logits are not of, ModelError for a checkpoint
    that cannot be trained or a teacher with other tokens, all before weights are loaded, and ModelError when the loss
    is no number.
    """
    base = ctx.inputs["model"]
    rows = preflight.read_rows(ctx.inputs["data"], ("prompt", "completion"))
    tokenizer = preflight.load_processor(base)
    preflight.check_template(tokenizer, rows[0])
    longest = _check_lengths(spec, ctx, rows, tokenizer)
    loading.check_parts(base, spec.lora, spec.freeze)
    tasks = drawn_tasks(spec, ctx.seed) if spec.lmbda and spec.rollouts.source == "world" else ()
    trainer, notes = (
        _gold(spec, ctx, rows, tokenizer, longest) if spec.gold else _own(spec, ctx, rows, tokenizer, tasks)
    )
    optimizers.install(trainer, spec.optimizer)
    metrics = session.train(trainer, ctx)
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    loading.write_trained(trainer.model, tokenizer, base, ctx.out, spec.save_dtype)
    write_history(history, ctx.out)
    notes |= {"loss": session.thinned(history, ["loss", *_PARTS]), "rows": len(rows), "longest_row_tokens": longest}
    if (ctx.scratch / _ROUNDS).is_dir():
        notes["rounds"] = played(ctx.scratch / _ROUNDS)
    return StageResult({**metrics, **_ends(history)}, notes)


def _check_lengths(spec: DistillSpec, ctx: StageContext, rows: list[dict[str, Any]], tokenizer: Any) -> int:
    """Rows, and own answers to their prompts, fit into both models; returns the longest row's tokens."""
    both = [ctx.inputs[place] for place in ("teacher", "model") if place in ctx.inputs]
    longest = 0
    for model in both[-1:] if spec.gold else both:  # gold reads other tokens of the teacher's, and counts them itself
        longest = preflight.check_lengths(rows, tokenizer, model, spec.trl.get("max_length"))
        if spec.lmbda and spec.rollouts.source == "rows":
            preflight.check_lengths(rows, tokenizer, model, None, spec.rollouts.answer_tokens)
    return longest


def _own(
    spec: DistillSpec, ctx: StageContext, rows: list[dict[str, Any]], tokenizer: Any, tasks: Sequence[Task]
) -> tuple[Any, dict[str, Any]]:
    """The trainer, and how many tokens student and teacher share."""
    tokens = tokenize(rows, tokenizer)
    vocabulary = _vocabulary(spec, ctx, tokens, tokenizer)
    return _trainer(spec, ctx, tokens, tokenizer, vocabulary, tasks), {"shared_tokens": vocabulary}


def _gold(
    spec: DistillSpec, ctx: StageContext, rows: list[dict[str, Any]], tokenizer: Any, longest: int
) -> tuple[Any, dict[str, Any]]:
    from zoo.trainers.distill.gold import gold_trainer

    return gold_trainer(spec, ctx, rows, tokenizer, longest), {}


def _ends(history: list[dict[str, float]]) -> dict[str, Metric]:
    """The loss and each of its parts over the last tenth of the steps."""
    metrics = {"train_loss": Metric(session.mean_of_share([entry["loss"] for entry in history], last=True), "nats")}
    for name in _PARTS[:-1]:
        if values := [entry[name] for entry in history if name in entry]:
            metrics[name] = Metric(session.mean_of_share(values, last=True), "nats")
    return metrics


def _vocabulary(spec: DistillSpec, ctx: StageContext, rows: list[TokenRow], tokenizer: Any) -> int:
    """How many tokens student and teacher share; raises when the rows, or the stored logits, have others."""
    student = ctx.inputs["model"]
    shared = check_folders(student, ctx.inputs["teacher" if spec.teacher else "model"])
    if spec.logits:
        store = LogitStore(ctx.inputs["logits"])
        store.check(rows, spec.temperature, tokens_in(student))
        shared = store.facts.vocabulary
    if strange := next((token for row in rows for token in row.input_ids if token >= shared), None):
        raise DataError(
            f"the rows have the token {tokenizer.convert_ids_to_tokens(strange)!r}, which the teacher does not know; "
            "leave it out of the rows, or take a teacher that has it"
        )
    return shared


def _trainer(
    spec: DistillSpec, ctx: StageContext, rows: list[TokenRow], tokenizer: Any, vocabulary: int, tasks: Sequence[Task]
) -> Any:
    from datasets import Dataset
    from trl import SFTConfig

    from zoo.trainers.distill.trainer import Collator, DistillTrainer, Teaching

    args = session.config(
        SFTConfig,
        {
            **session.settings(spec.checkpoint_steps, ctx),
            "include_num_input_tokens_seen": "non_padding",
            "remove_unused_columns": False,  # the number of a row finds its stored logits
            **spec.trl,
            "max_length": None,  # checked: nothing is longer
        },
    )
    if args.world_size > 1:
        raise EnvironmentFailure("the distill stage trains in one process; run it without a launcher")
    adapter = loading.lora_config(spec.lora)
    positions = min(
        checkpoint.facts(ctx.inputs[place]).positions for place in ("model", "teacher") if place in ctx.inputs
    )
    teaching = Teaching(
        spec,
        vocabulary,
        _teacher(spec, ctx, args.device) if spec.teacher else None,
        LogitStore(ctx.inputs["logits"]) if spec.logits else None,
        WorldTurns(spec, ctx.seed, tasks, ctx.scratch / _ROUNDS, positions, ctx.log) if tasks else None,
    )
    columns = [
        {"input_ids": row.input_ids, "labels": row.labels, "reasoning": row.reasoning, "row": number}
        for number, row in enumerate(rows)
    ]
    trainer = DistillTrainer(
        model=loading.load_model(ctx.inputs["model"], spec.dtype, spec.attention),
        args=args,
        train_dataset=Dataset.from_list(columns),
        data_collator=Collator(pad_token_id=_pad(tokenizer)),
        processing_class=tokenizer,
        peft_config=adapter,
        teaching=teaching,
    )
    loading.freeze(trainer.model, spec.freeze)
    return trainer


def _teacher(spec: DistillSpec, ctx: StageContext, device: Any) -> Any:
    model = loading.load_model(ctx.inputs["teacher"], spec.dtype, spec.attention)
    return model.to(device).eval().requires_grad_(False)


def _pad(tokenizer: Any) -> int:
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)

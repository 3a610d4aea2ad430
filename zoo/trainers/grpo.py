"""Group relative policy optimisation: TRL's GRPOTrainer on logged steps whose right action is known.

Each prompt is one step of an episode; the policy answers it several times and the rewards compare the answers. No
environment runs. Every reward's mean is in the record, step by step.
"""

from typing import Any

from zoo import options, registry
from zoo.errors import DataError, ModelError
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import GRPOSpec
from zoo.trainers import loading, optimizers, preflight, session
from zoo.trainers.history import write as write_history

__all__ = ["run"]

_ANSWER_TOKENS = 512  # TRL's default of `max_completion_length`
_FOR_REWARDS = ("solution", "task", "template", "step")


def run(spec: GRPOSpec, ctx: StageContext) -> StageResult:
    """Train, and leave a whole checkpoint in `ctx.out`.

    Raises DataError for rows that do not fit, ModelError for a checkpoint that cannot be trained or for sizes that do
    not fit together, both before weights are loaded, and ModelError when the loss is no number.
    """
    base = ctx.inputs["model"]
    rows = preflight.read_rows(ctx.inputs["data"], ("prompt", "solution"))
    processor = preflight.load_processor(base)
    answer_tokens = spec.trl.get("max_completion_length", _ANSWER_TOKENS)
    longest = preflight.check_lengths(rows, processor, base, None, answer_tokens)
    _check_sizes(spec, len(rows))
    trainer = _trainer(spec, ctx, rows, processor)
    metrics = session.train(trainer, ctx)
    history = [entry for entry in trainer.state.log_history if "reward" in entry]
    loading.write_trained(trainer.model, processor, base, ctx.out, spec.save_dtype)
    write_history(history, ctx.out)
    names = ["reward", *(f"rewards/{name}/mean" for name in trainer.reward_func_names)]
    metrics |= _ends(history, names)
    fields = ["loss", *names, "reward_std", "completions/mean_length", "completions/clipped_ratio", "entropy"]
    notes = {"history": session.thinned(history, fields), "rows": len(rows), "longest_row_tokens": longest}
    return StageResult(metrics, notes)


def _check_sizes(spec: GRPOSpec, rows: int) -> None:
    if problem := options.grpo_batch_problem(spec.trl):
        raise ModelError(problem)
    if problem := options.grpo_rows_problem(spec.trl, rows):
        raise DataError(problem)
    if problem := options.grpo_checkpoint_problem(spec.trl, spec.checkpoint_steps):
        raise ModelError(problem)


def _trainer(spec: GRPOSpec, ctx: StageContext, rows: list[dict[str, Any]], processor: Any) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    weights = [reward.weight for reward in spec.rewards]
    settings = {**session.settings(spec.checkpoint_steps, ctx), **spec.trl, "reward_weights": weights}
    columns = ["prompt", *(column for column in _FOR_REWARDS if column in rows[0])]
    trainer = GRPOTrainer(
        model=loading.load_model(ctx.inputs["model"], spec.dtype, spec.attention),
        reward_funcs=[registry.load(registry.REWARDS[reward.name])(**reward.options) for reward in spec.rewards],
        args=GRPOConfig(**settings),
        train_dataset=loading.load_dataset(rows, columns),
        processing_class=processor,
        peft_config=loading.lora_config(spec.lora),
    )
    loading.freeze(trainer.model, spec.freeze)
    optimizers.install(trainer, spec.optimizer)
    return trainer


def _ends(history: list[dict[str, float]], names: list[str]) -> dict[str, Metric]:
    """The mean of each reward over the first and over the last tenth of the steps."""
    ends = {}
    for name in names:
        plain = "reward" if name == "reward" else f"reward_{name.split('/')[1]}"
        values = [entry[name] for entry in history]
        ends[f"{plain}_start"] = Metric(session.mean_of_share(values, last=False))
        ends[f"{plain}_end"] = Metric(session.mean_of_share(values, last=True))
    return ends

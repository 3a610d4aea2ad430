"""Group relative policy optimisation with TRL's GRPOTrainer, on logged steps or on whole episodes in a world.

On logged steps a prompt is one step of an episode whose right action is known; the policy answers it several times and
the rewards compare the answers (OpenPhone's way). In an environment it acts every task several times, and each step of
each episode is a sample whose advantage comes from its episode (`zoo.trainers.rollouts`, `zoo.trainers.advantages`).
Every reward's mean is in the record, step by step. Not covered: a world whose observations are screenshots.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zoo import checkpoint, options, registry
from zoo.actions import parse
from zoo.agent import open_environment
from zoo.environments import Closing, Task
from zoo.errors import DataError, EnvironmentFailure, ModelError
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import GRPOSpec
from zoo.trainers import completions, loading, optimizers, preflight, session
from zoo.trainers.history import write as write_history

__all__ = ["run"]

_ANSWER_TOKENS = 512  # TRL's default of `max_completion_length`
_FOR_REWARDS = ("solution", "task", "template", "step")
_KEPT = "completions"


def run(spec: GRPOSpec, ctx: StageContext) -> StageResult:
    """Train, and leave a whole checkpoint in `ctx.out`, with a sample of what was said in `completions.jsonl`.

    Raises DataError for rows or tasks that do not fit, ModelError for a checkpoint that cannot be trained or for sizes
    that do not fit together, EnvironmentFailure for vLLM where it cannot be and for an endpoint that is not there, all
    before weights are loaded; and ModelError when the loss is no number, `guard` stops the run or the endpoint goes.
    """
    _check_vllm(spec, ctx.device)
    if spec.endpoint:
        from zoo.trainers.policy_endpoint import check_endpoint

        check_endpoint(spec.endpoint)
    base = ctx.inputs["model"]
    processor = preflight.load_processor(base)
    tasks = _tasks(spec, ctx.seed)
    rows, notes = _rows_of(tasks) if spec.environment else _read_rows(spec, ctx.inputs["data"], processor, base)
    _check_sizes(spec, len(rows))
    loading.check_parts(base, spec.lora, spec.freeze)
    trainer = _trainer(spec, ctx, rows, processor, tasks)
    try:
        metrics = session.train(trainer, ctx)
    finally:
        trainer.close()
    history = [entry for entry in trainer.state.log_history if "reward" in entry]
    acting = _write_adapters(trainer.model, spec, ctx.out)
    loading.write_trained(trainer.model, processor, base, ctx.out, spec.save_dtype, acting)
    write_history(history, ctx.out)
    notes["kept_answers"] = completions.collect(ctx.scratch / _KEPT, ctx.out / completions.COMPLETIONS_NAME)
    names = ["reward", *(f"rewards/{name}/mean" for name in trainer.reward_func_names)]
    more = [*(["success"] if spec.environment else []), *(_WORLD_MODEL if spec.world_model else [])]
    metrics |= _ends(history, [*names, *more])
    if warned := _first_alarm(history, spec):
        notes["alarm"] = warned
    notes["history"] = session.thinned(history, ["loss", *names, *_LOGGED, *_more(history)])
    return StageResult(metrics, notes)


_LOGGED = (
    "reward_std", "completions/mean_length", "completions/clipped_ratio", "entropy", "group_spread", "kl",
    "clip_ratio/low_mean", "clip_ratio/high_mean", "frac_reward_zero_std", "success",
)  # fmt: skip
_MORE = ("denoise/", "endpoint/", "episode/", "sampling/", "samples/", "world/")
_WORLD_MODEL = ("world/nll", "world/exact")


def _more(history: Sequence[dict[str, float]]) -> list[str]:
    return sorted({name for entry in history for name in entry if name.startswith(_MORE)})


def _write_adapters(model: Any, spec: GRPOSpec, folder: Path) -> str:
    """The adapters of policy and world model, if there are two; the name of the one that acts."""
    if spec.world_model is None:
        return "default"
    from zoo.trainers.dual import write_adapters

    return write_adapters(model, spec.world_model, folder)


def _first_alarm(history: Sequence[dict[str, float]], spec: GRPOSpec) -> dict[str, Any] | None:
    from zoo.trainers.guards import first_alarm

    return first_alarm(history, spec.guard)


def _check_vllm(spec: GRPOSpec, device: str) -> None:
    if not spec.trl.get("use_vllm"):
        return
    if device == "cpu":
        raise EnvironmentFailure("`use_vllm: true` needs a GPU, and this stage runs on cpu; leave it out")
    if find_spec("vllm") is None:
        raise EnvironmentFailure("`use_vllm: true` needs vllm, which is not installed; run: pip install 'trl[vllm]'")


def _tasks(spec: GRPOSpec, seed: int) -> Sequence[Task]:
    world = spec.environment
    if world is None:
        return ()
    environment = open_environment(spec.agent)
    try:
        return environment.draw_tasks(world.split, world.tasks, seed)
    except ValueError as error:
        raise DataError(f"environment: `tasks: {world.tasks}` is too many: {error}") from error
    finally:
        if isinstance(environment, Closing):
            environment.close()


def _rows_of(tasks: Sequence[Task]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row a task. Its prompt is only TRL's wish: the agent writes one for every step."""
    rows = [
        {"prompt": [{"role": "user", "content": task.instruction}], "task": number} for number, task in enumerate(tasks)
    ]
    return rows, {"tasks": len(tasks), "templates": len({task.template for task in tasks})}


def _read_rows(spec: GRPOSpec, folder: Path, processor: Any, base: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    rows = preflight.read_rows(folder, ("prompt", "solution"))
    if any(reward.name == "action" for reward in spec.rewards):
        _check_solutions(rows)
    answer_tokens = spec.trl.get("max_completion_length", _ANSWER_TOKENS)
    longest = preflight.check_lengths(rows, processor, base, None, answer_tokens)
    return rows, {"rows": len(rows), "longest_row_tokens": longest}


def _check_solutions(rows: Sequence[dict[str, Any]]) -> None:
    for number, row in enumerate(rows, 1):
        solution = row["solution"]
        if not isinstance(solution, str) or parse(solution) is None:
            raise DataError(
                f"row {number} ({row.get('task', 'no task')}) has the solution {solution!r}, which is no call, such as "
                "tap(3); the reward `action` compares calls"
            )


def _check_sizes(spec: GRPOSpec, rows: int) -> None:
    if problem := options.grpo_batch_problem(spec.trl):
        raise ModelError(problem)
    if problem := options.grpo_rows_problem(spec.trl, rows):
        raise DataError(problem)
    if problem := options.grpo_checkpoint_problem(spec.trl, spec.checkpoint_steps):
        raise ModelError(problem)


def _trainer(
    spec: GRPOSpec, ctx: StageContext, rows: list[dict[str, Any]], processor: Any, tasks: Sequence[Task]
) -> Any:
    from trl import GRPOConfig

    from zoo.trainers.guards import Guard
    from zoo.trainers.policy_trainer import PolicyTrainer

    table = registry.EPISODE_REWARDS if spec.environment else registry.REWARDS
    settings = {
        **session.settings(spec.checkpoint_steps, ctx),
        **({"vllm_importance_sampling_mode": "token_truncate"} if spec.endpoint else {}),
        **spec.trl,
        **({"max_completion_length": spec.agent.answer_tokens} if spec.environment else {}),
        "reward_weights": [reward.weight for reward in spec.rewards],
    }
    columns = ["prompt", *(column for column in _FOR_REWARDS if column in rows[0])]
    calls = any(reward.name == "action" for reward in spec.rewards)
    kind, more = (PolicyTrainer, {}) if spec.world_model is None else _with_world_model(spec)
    args, adapter = session.config(GRPOConfig, settings), loading.lora_config(spec.lora)
    trainer = kind(
        model=loading.load_model(ctx.inputs["model"], spec.dtype, spec.attention),
        reward_funcs=[registry.load(table[reward.name])(**reward.options) for reward in spec.rewards],
        args=args,
        train_dataset=loading.load_dataset(rows, columns),
        processing_class=processor,
        peft_config=adapter,
        spec=spec,
        tasks=tasks,
        positions=checkpoint.facts(ctx.inputs["model"]).positions,
        readable=_holds_call if calls else bool,
        keep=completions.keeper(ctx.scratch / _KEPT),
        **more,
    )
    trainer.add_callback(Guard(spec.guard, ctx, ctx.scratch / "checkpoints"))
    loading.freeze(trainer.model, spec.freeze)
    optimizers.install(trainer, spec.optimizer)
    return trainer


def _with_world_model(spec: GRPOSpec) -> tuple[Any, dict[str, Any]]:
    from zoo.trainers.dual import WorldModelTrainer

    world = spec.world_model
    assert world is not None
    shared = world.adapters == "shared"
    return WorldModelTrainer, {"world_lora": None if shared else loading.lora_config(world.lora or spec.lora)}


def _holds_call(text: str) -> bool:
    return parse(text) is not None


def _ends(history: list[dict[str, float]], names: list[str]) -> dict[str, Metric]:
    """The mean of each reward over the first and over the last tenth of the steps."""
    ends = {}
    for name in names:
        plain = f"reward_{name.split('/')[1]}" if name.startswith("rewards/") else name.replace("/", "_")
        if values := [entry[name] for entry in history if entry.get(name) is not None]:
            ends[f"{plain}_start"] = Metric(session.mean_of_share(values, last=False))
            ends[f"{plain}_end"] = Metric(session.mean_of_share(values, last=True))
    return ends

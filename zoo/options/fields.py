"""The options of TRL's and peft's config classes: their names, their types, and those that a stage sets itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from zoo.errors import did_you_mean
from zoo.options.problem import OptionProblem
from zoo.options.tables import read

__all__ = ["check_fields"]

# Whose class it is, as its own documentation spells the name.
_OWNERS = {"trl": "TRL", "peft": "peft"}

_DEVICE = "the command line says the device: `--device cuda`"
_DTYPE = "write the stage's `dtype: float32` or `dtype: bfloat16`"
_CHECKPOINTS = "write the stage's `checkpoint_steps`"
_HUB = "a `publish` stage uploads, with its card and its record"
_EVALUATION = "an `evaluate` stage measures on tasks that were not trained on"
_SEED = "write the stage's or the recipe's `seed`"
_RESUMED = "a killed stage goes on from its last checkpoint by itself"
_RECORDED = "the loss is in the stage's record"
_EVERY_STEP = "every step is recorded"
_ANSWERS = "the loss is on the answers only"
_TOKENIZER = "it is read from the checkpoint's tokenizer"
_REMOTE_CODE = "code from a repository is never run"

# What a training stage sets itself, and what to write in a recipe instead.
_TRAINER_SETS = {
    "output_dir": "the stage writes into the cache",
    "seed": _SEED,
    "data_seed": _SEED,
    "resume_from_checkpoint": _RESUMED,
    "ignore_data_skip": _RESUMED,
    "restore_callback_states_from_checkpoint": _RESUMED,
    "enable_jit_checkpoint": _RESUMED,
    "save_steps": _CHECKPOINTS,
    "save_strategy": _CHECKPOINTS,
    "save_total_limit": _CHECKPOINTS,
    "save_only_model": _CHECKPOINTS,
    "save_on_each_node": _CHECKPOINTS,
    "load_best_model_at_end": _EVALUATION,
    "metric_for_best_model": _EVALUATION,
    "greater_is_better": _EVALUATION,
    "eval_strategy": _EVALUATION,
    "eval_steps": _EVALUATION,
    "eval_on_start": _EVALUATION,
    "do_train": _EVALUATION,
    "do_eval": _EVALUATION,
    "do_predict": _EVALUATION,
    "report_to": _RECORDED,
    "run_name": _RECORDED,
    "project": _RECORDED,
    "trackio_space_id": _RECORDED,
    "trackio_bucket_id": _RECORDED,
    "trackio_static_space_id": _RECORDED,
    "disable_tqdm": _RECORDED,
    "log_level": _RECORDED,
    "log_level_replica": _RECORDED,
    "logging_nan_inf_filter": "a loss that is no number stops the stage",
    "logging_steps": _EVERY_STEP,
    "logging_strategy": _EVERY_STEP,
    "logging_first_step": _EVERY_STEP,
    "include_num_input_tokens_seen": _EVERY_STEP,
    "push_to_hub": _HUB,
    "hub_token": _HUB,
    "hub_private_repo": _HUB,
    "hub_model_id": _HUB,
    "hub_strategy": _HUB,
    "hub_always_push": _HUB,
    "hub_revision": _HUB,
    "log_completions_hub_repo": _HUB,
    "use_cpu": _DEVICE,
    "local_rank": _DEVICE,
    "bf16": _DTYPE,
    "fp16": _DTYPE,
    "bf16_full_eval": _DTYPE,
    "fp16_full_eval": _DTYPE,
    "model_init_kwargs": _DTYPE,
    "trust_remote_code": _REMOTE_CODE,
    "gradient_checkpointing": "write `activation_checkpointing`, its name in transformers 5",
    "gradient_checkpointing_kwargs": "write `activation_checkpointing_kwargs`, its name in transformers 5",
    "auto_find_batch_size": "a batch chosen by the machine gives another model; write `per_device_train_batch_size`",
    "remove_unused_columns": "the stage hands over the columns that it needs",
    "dataset_text_field": "rows have `prompt` and `completion`",
    "dataset_kwargs": "rows have `prompt` and `completion`",
    "completion_only_loss": _ANSWERS,
    "assistant_only_loss": _ANSWERS,
    "chat_template_path": _TOKENIZER,
    "eos_token": _TOKENIZER,
    "pad_token": _TOKENIZER,
    "reward_weights": "write `weight` beside each of the stage's `rewards`",
}
_STAGE_SAYS = "the stage's own key of that name, or its `teacher`, `weights`, `temperature` and `rollouts`, say it"
# Of GOLDConfig alone: some are options of GRPO too.
_GOLD_SETS = dict.fromkeys(
    (
        "teacher_model_name_or_path", "teacher_model_revision", "teacher_model_init_kwargs",
        "teacher_tokenizer_name_or_path", "use_uld_loss", "lmbda", "temperature", "max_completion_length",
        "uld_student_temperature", "uld_teacher_temperature", "uld_crossentropy_weight", "uld_distillation_weight",
        "max_length", "packing", "loss_type", "label_smoothing_factor",
    ),
    _STAGE_SAYS,
)  # fmt: skip
_ADAPTER = "the stage's `model` and kind say it"
_LORA_SETS = {
    "task_type": _ADAPTER,
    "peft_type": _ADAPTER,
    "auto_mapping": _ADAPTER,
    "peft_version": _ADAPTER,
    "base_model_name_or_path": _ADAPTER,
    "revision": _ADAPTER,
    "inference_mode": _ADAPTER,
}


def check_fields(library: str, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    """Problems of options for `trl.SFTConfig`, `trl.GRPOConfig` or `peft.LoraConfig`, in the order of the options."""
    owner, _, name = library.partition(".")
    table = read(owner)[name]
    reserved = _LORA_SETS if owner == "peft" else _TRAINER_SETS | (_GOLD_SETS if name == "GOLDConfig" else {})
    usable = [field for field in table if field not in reserved]
    for option, value in options.items():
        if option in reserved:
            yield OptionProblem(option, "the stage sets this itself", reserved[option])
        elif option not in table:
            yield OptionProblem(option, f"{_OWNERS[owner]}'s {name} has no such option", did_you_mean(option, usable))
        elif problem := _value_problem(option, value, table[option]):
            yield problem


def _value_problem(option: str, value: Any, field: Mapping[str, Any]) -> OptionProblem | None:
    kinds, choices = field["types"], field.get("choices", ())
    if not any(_is_a(value, kind) for kind in kinds):
        hint = "remove the quotes" if isinstance(value, str) and _is_number(value) else ""
        return OptionProblem(option, f"{value!r} is not {_either(kinds)}", hint)
    if isinstance(value, str) and choices and not any(_matches(value, choice) for choice in choices):
        return OptionProblem(option, f"{value!r} is none of its values", did_you_mean(value, choices))
    return None


def _is_a(value: Any, kind: str) -> bool:
    """Whether a value as YAML reads it has a type: a bool is no number, an integer is a number."""
    if isinstance(value, bool):
        return kind in ("bool", "any")
    allowed: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (int, float),
        "str": (str,),
        "list": (list, tuple),
        "dict": (Mapping,),
        "none": (type(None),),
        "any": (object,),
    }
    return isinstance(value, allowed.get(kind, ()))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _matches(value: str, choice: str) -> bool:
    """Whether a value is a choice; peft writes one of them as `pissa_niter_[number of iters]`."""
    stem, bracket, _ = choice.partition("[")
    return value == choice or (bool(bracket) and value.startswith(stem) and value.removeprefix(stem).isdigit())


def _either(kinds: list[str]) -> str:
    words = {
        "int": "an integer",
        "float": "a number",
        "bool": "true or false",
        "str": "a string",
        "list": "a list",
        "dict": "a mapping",
        "none": "null",
    }
    return " or ".join(words[kind] for kind in kinds)

"""One training run: what every trainer is told, watched step by step, resumed after a kill, measured.

A checkpoint counts once it carries `whole.json`, written after everything else with the size of each file; a folder
without it, or that no longer agrees with it, was cut off by a kill and is removed. Every step's loss is logged, so that
the record is the same whether the run was interrupted or not. Several processes may train one model: the first of them
writes, all of them agree on where to go on.
"""

import json
import math
import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from transformers import PrinterCallback, TrainerCallback

from zoo.errors import ModelError
from zoo.records import Metric, StageContext
from zoo.trainers import history, tracking

__all__ = ["config", "is_first", "last_checkpoint", "mean_of_share", "processes", "settings", "thinned", "train"]

_WHOLE = "whole.json"
_FOLDER = re.compile(r"^checkpoint-(?P<step>\d+)$")
_SHARE = 0.1


def settings(checkpoint_steps: int, ctx: StageContext) -> dict[str, Any]:
    """The options of TRL's config classes that a stage sets itself; `zoo.options` keeps recipes from setting them."""
    _quieten()
    on_cpu = ctx.device == "cpu"
    if processes() > 1 and on_cpu:
        # accelerate picks NCCL or nothing by itself; processors speak gloo.
        os.environ.setdefault("ACCELERATE_USE_CPU", "true")
    if ctx.device.startswith("cuda:"):
        _see_one_gpu(int(ctx.device.partition(":")[2]))
    return {
        "output_dir": str(ctx.scratch / "checkpoints"),
        "seed": ctx.seed,
        "save_strategy": "steps",
        "save_steps": checkpoint_steps,
        "save_total_limit": 2,  # the one before last is there while the last is being written
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would hide the loss that must stop the run
        **tracking.options(ctx),
        "ddp_backend": "gloo" if on_cpu and processes() > 1 else None,
        "disable_tqdm": True,
        "use_cpu": on_cpu,
        # The weights' own type is the arithmetic's: no autocast beside it.
        "bf16": False,
        "fp16": False,
        "tf32": None,
        # It trades a second forward pass for memory; on a CPU the memory is there and the time is not.
        "activation_checkpointing": not on_cpu,
    }


def config(kind: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """TRL's config class of these options.

    Raises ModelError, in the class's own words, when it refuses a value, or values that do not go together.
    """
    try:
        return kind(**options)
    except ValueError as error:
        raise ModelError(f"trl: {error}; mend it under the stage's `trl:`") from error


def train(trainer: Any, ctx: StageContext) -> dict[str, Metric]:
    """Train from the last whole checkpoint, if there is one, to the end; what is logged is in `trainer.state`.

    Raises ModelError when the loss or the gradient is no finite number, and when the loss stays far above its start.
    """
    folder = Path(trainer.args.output_dir)
    watch = _Watch(ctx, folder)
    trainer.remove_callback(PrinterCallback)  # it prints every step; progress is reported through `ctx`
    trainer.add_callback(watch)
    resumed = last_checkpoint(folder)
    if resumed:
        ctx.log.info("going on from %s", resumed.name)
    with suppress(_AlreadyTrained):
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    trainable = sum(parameter.numel() for parameter in trainer.model.parameters() if parameter.requires_grad)
    metrics = {
        "steps": Metric(trainer.state.global_step, "steps"),
        "tokens": Metric(trainer.state.num_input_tokens_seen, "tokens"),
        "trainable_parameters": Metric(trainable),
    }
    if watch.tokens_per_second:  # nothing was measured when all was trained before a kill
        metrics["tokens_per_second"] = Metric(watch.tokens_per_second, "tokens/s")
    return metrics


def processes() -> int:
    """How many processes train this model together, as their launcher says it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return os.environ.get("RANK", "0") == "0"


def last_checkpoint(folder: Path, before: float = math.inf) -> Path | None:
    """The newest whole checkpoint in a folder, of a step before `before`; those that a kill cut off are removed."""
    for step, path in sorted(_checkpoints(folder), reverse=True):
        if not _is_whole(path):
            if is_first():
                shutil.rmtree(path)
        elif step < before:
            return path
    return None


def mean_of_share(values: Sequence[float], last: bool) -> float:
    """The mean of the last (or the first) tenth of a run's values, of one value at least."""
    count = max(1, math.ceil(len(values) * _SHARE))
    chosen = values[-count:] if last else values[:count]
    return sum(chosen) / len(chosen)


def thinned(history: Sequence[dict[str, float]], fields: Sequence[str], most: int = 200) -> list[dict[str, float]]:
    """At most so many points of a history, each the mean of `fields` over neighbouring steps, at the last of them."""
    width = math.ceil(len(history) / most) or 1
    groups = [history[start : start + width] for start in range(0, len(history), width)]
    return [{"step": group[-1]["step"], **_means(group, fields)} for group in groups]


class _AlreadyTrained(Exception):
    """The checkpoint that a run goes on from is its last: what is left is to write the model."""


class _Watch(TrainerCallback):  # type: ignore[misc]  # transformers' classes are untyped here
    """Reports every step, stops at a loss that is no number or has risen for good, and marks checkpoints whole."""

    def __init__(self, ctx: StageContext, folder: Path) -> None:
        self.ctx, self.folder = ctx, folder
        self.rise = history.Rise()
        self.started = 0.0
        self.tokens_before = 0
        self.tokens_per_second = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.started, self.tokens_before = time.perf_counter(), state.num_input_tokens_seen
        before = [entry for entry in state.log_history if "loss" in entry]
        if is_first():
            history.write(before, self.ctx.scratch)
        for entry in before:
            self._look_for_a_rise(entry, entry["step"])
        # transformers looks whether it is done after a step, so that a finished run would be given one more.
        if state.global_step >= state.max_steps:
            raise _AlreadyTrained

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        for name in ("loss", "grad_norm"):
            if not math.isfinite(float(logs.get(name, 0.0))):
                raise ModelError(self._diverged(name, float(logs[name]), state.global_step))
        self._look_for_a_rise(logs, state.global_step)
        if is_first():
            history.append({"step": state.global_step, **logs}, self.ctx.scratch)
        seconds = time.perf_counter() - self.started
        self.tokens_per_second = (state.num_input_tokens_seen - self.tokens_before) / seconds
        shown = {"loss": logs["loss"], "tokens_per_second": round(self.tokens_per_second, 1)}
        if "reward" in logs:
            shown["reward"] = logs["reward"]
        self.ctx.progress(state.global_step, state.max_steps, **shown)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if processes() > 1:
            torch.distributed.barrier()  # each process writes its own random state into the checkpoint
        if is_first():
            _mark_whole(self.folder / f"checkpoint-{state.global_step}")

    def _look_for_a_rise(self, logs: dict[str, float], step: int) -> None:
        if "reward" in logs:  # the loss of a policy gradient is no distance from anything
            return
        begun = self.rise.add(step, float(logs["loss"]))
        if begun is not None:
            loss = (
                f"the loss has been above {self.rise.bound:.3g} since step {begun}, and began at {self.rise.start:.3g}"
            )
            raise ModelError(f"{loss}: it diverges; {self._good(begun)}; lower `learning_rate` or `max_grad_norm`")

    def _diverged(self, name: str, value: float, step: int) -> str:
        return f"{name} is {value} at step {step}; {self._good(step)}; lower `learning_rate` or `max_grad_norm`"

    def _good(self, step: int) -> str:
        good = last_checkpoint(self.folder, before=step)
        return f"the last good checkpoint is {good}" if good else "there is no checkpoint before it"


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    return [(int(match["step"]), path) for path in folder.iterdir() if (match := _FOLDER.match(path.name))]


def _sizes(folder: Path) -> dict[str, int]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(_WHOLE)]
    return {str(path.relative_to(folder)): path.stat().st_size for path in sorted(files)}


def _mark_whole(folder: Path) -> None:
    """Write the mark last; what it speaks of has to be on the disk before it."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    part = folder / f"{_WHOLE}.part"
    part.write_text(json.dumps(_sizes(folder)), "utf-8")
    part.replace(folder / _WHOLE)


def _is_whole(folder: Path) -> bool:
    mark = folder / _WHOLE
    return mark.is_file() and json.loads(mark.read_text("utf-8")) == _sizes(folder)


def _quieten() -> None:
    """Keep bars out of a log, and a warning of transformers to its own callers in TRL and peft."""
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)


def _see_one_gpu(index: int) -> None:
    """Show this process one GPU only: with several and no launcher, transformers would split the batch over them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[index] if visible != [""] else str(index)


def _means(group: Sequence[dict[str, float]], fields: Sequence[str]) -> dict[str, float]:
    values = {name: [entry[name] for entry in group if entry.get(name) is not None] for name in fields}
    return {name: sum(found) / len(found) for name, found in values.items() if found}

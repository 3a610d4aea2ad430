"""A policy of two layers for the toy world: it knows how to tap, and on which button only by chance."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from toy_world import COLOURS, task
from training_rows import write_rows

from zoo import tiny
from zoo.prompt import Chat, foresight, messages
from zoo.records import StageContext, StageResult
from zoo.schema import AgentSpec, GRPOSpec, SFTSpec
from zoo.trainers import grpo, sft
from zoo.trainers.rollouts import Answered, Rollout, roll_out

AGENT = {"style": "terse", "observation": "terse", "memory": "none", "rounds": 3, "answer_tokens": 8}


def context(folder: Path, seed: int = 7, **inputs: Path) -> StageContext:
    (folder / "out").mkdir(parents=True)
    return StageContext(folder / "out", folder / "scratch", inputs, seed=seed)


def taught(folder: Path, screens: Sequence[str] = COLOURS, foresees: bool = False) -> Path:
    """A checkpoint that answers every screen with one of four taps, drawn evenly; and, where it `foresees`, a call with
    any screen: it knows what it will be asked, and nothing of the secret."""
    tiny.make("llama", folder / "base", seed=0)
    rng = Random(0)
    rows = [_row(_asked(screen), _tap(rng)) for screen in screens for _ in range(40)]
    if foresees:
        after = [(screen, rng.choice(COLOURS)) for screen in screens for _ in range(40)]
        rows += [
            _row(foresight(_asked(screen), _tap(rng)), rng.choice((to, f"{to}: {_tap(rng)}"))) for screen, to in after
        ]
    steps = 200 if foresees else 80
    trl = {"max_steps": steps, "per_device_train_batch_size": 16, "learning_rate": 1e-2}
    spec = SFTSpec(
        model="a/b", data="stage:rows", dtype="float32", save_dtype="float32", checkpoint_steps=steps, trl=trl
    )  # fmt: skip
    ctx = context(folder / "sft", model=folder / "base", data=write_rows(folder / "data", rows))
    sft.run(spec, ctx)
    return ctx.out


def _asked(screen: str) -> Chat:
    return messages(AgentSpec.model_validate(AGENT), "Tap the right buttons.", [], screen)


def _tap(rng: Random) -> str:
    return f"tap({rng.randint(1, 4)})"


def _row(prompt: Chat, said: str) -> dict[str, Any]:
    return {"prompt": prompt, "completion": [{"role": "assistant", "content": said}]}


def policy_spec(**changes: Any) -> GRPOSpec:
    """Episodes of the toy world; `trl`, `environment` and `agent` are added to."""
    trl = {"max_steps": 2, "per_device_train_batch_size": 16, "num_generations": 4, **changes.pop("trl", {})}
    environment = {"tasks": 8, **changes.pop("environment", {})}
    agent = {**AGENT, **changes.pop("agent", {})}
    usual = {"dtype": "float32", "save_dtype": "float32", "checkpoint_steps": 2}
    return GRPOSpec.model_validate(
        {"model": "a/b", "trl": trl, "environment": environment, "agent": agent, **usual, **changes}
    )


def spoken(*scripts: Sequence[str]) -> list[Rollout]:
    """An episode of four buttons for each script of four answers; tokens say which: prompt (episode, step), answer
    (step, episode), both counted from 1."""
    asked = 0

    def sample(chats: Sequence[Chat], numbers: Any) -> list[Answered]:
        nonlocal asked
        asked += 1
        return [
            Answered((number, asked), (asked, number), script[asked - 1]) for number, script in enumerate(scripts, 1)
        ]

    agent = AgentSpec.model_validate({**AGENT, "rounds": 4})
    return roll_out(agent, [task(COLOURS)] * len(scripts), sample)


def learned(folder: Path, model: Path, seed: int = 7, **changes: Any) -> StageResult:
    """What forty steps in the toy world make of a policy."""
    trl = {
        "max_steps": 40, "per_device_train_batch_size": 32, "num_generations": 8, "learning_rate": 1e-3,
        "lr_scheduler_type": "constant", **changes.pop("trl", {}),
    }  # fmt: skip
    spec = policy_spec(trl=trl, environment={"tasks": 16}, checkpoint_steps=40, **changes)
    return grpo.run(spec, context(folder, seed, model=model))


def _lora(rank: int) -> dict[str, Any]:
    return {"r": rank, "lora_alpha": 2 * rank, "target_modules": "all-linear"}


WAYS: dict[str, dict[str, Any]] = {
    "grpo": {"trl": {"loss_type": "grpo"}},
    "dapo": {"trl": {"loss_type": "dapo", "epsilon_high": 0.28}, "dynamic_sampling": {"rounds": 3}},
    "denoised": {"denoise": {}},
}
"""GRPO as published first; DAPO's clip-higher, token-level loss and dynamic sampling; AgentCPM's advantages."""

_ADAPTED: dict[str, Any] = {"rewards": [{"name": "success"}], "trl": {"loss_type": "grpo", "learning_rate": 5e-3}}
DUAL_WAYS: dict[str, dict[str, Any]] = {
    "one adapter, policy alone": {**_ADAPTED, "lora": _lora(16)},
    "dual LoRA": {**_ADAPTED, "lora": _lora(8), "world_model": {"adapters": "together", "weight": 0.2}},
    "one adapter, both losses": {**_ADAPTED, "lora": _lora(16), "world_model": {"adapters": "shared", "weight": 0.2}},
}
"""Of equal parameters, where `TellingToy` says after a mistake what was missing and success alone is rewarded."""

_LONG: dict[str, Any] = {"agent": {"rounds": 6}, "rewards": [{"name": "success"}], "trl": {"loss_type": "grpo"}}
LONG_WAYS: dict[str, dict[str, Any]] = {
    "grpo, long": _LONG,
    "denoised, long": {**_LONG, "denoise": {}},
    "denoised, failed beginnings blamed": {**_LONG, "denoise": {"spare_prefix": False}},
}
"""For `LongToy`, with success alone rewarded: most episodes of a beginner begin right and fail."""

"""Dual LoRA in the toy world: whose loss moves what, what is written, and that it ends as it would without a kill."""

import hashlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from toy_policy import context, policy_spec, taught

from zoo import registry
from zoo.actions import Action
from zoo.agent import Episode, Step
from zoo.records import StageResult
from zoo.trainers import grpo, preflight
from zoo.trainers.dual import WorldModelTrainer, told
from zoo.trainers.rollouts import Answered, Rollout

LORA = {"r": 4, "target_modules": "all-linear"}
Train = Callable[..., tuple[StageResult, Path]]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taught(tmp_path_factory.mktemp("taught"))


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENVIRONMENTS, "phone", "toy_world:ToyWorld")


def spec_of(world_model: dict[str, Any] | None, **changes: Any) -> Any:
    trl = {
        "max_steps": 3, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 2, "num_generations": 4,
        "learning_rate": 1e-3, **changes.pop("trl", {}),
    }  # fmt: skip
    more = {} if world_model is None else {"world_model": world_model}
    return policy_spec(trl=trl, **{"lora": LORA, **more, **changes})


@pytest.fixture
def train(tmp_path: Path, policy: Path) -> Train:
    def make(name: str, world_model: dict[str, Any] | None, **changes: Any) -> tuple[StageResult, Path]:
        ctx = context(tmp_path / name, model=policy)
        return grpo.run(spec_of(world_model, **changes), ctx), ctx.out

    return make


@pytest.fixture
def trainer(tmp_path: Path, policy: Path) -> Callable[..., WorldModelTrainer]:
    """The trainer as the stage makes it, after one step of acting and learning."""

    def make(name: str, **changes: Any) -> WorldModelTrainer:
        spec = spec_of(changes.pop("world_model", {"adapters": "together"}), **changes)
        tasks = grpo._tasks(spec, 7)
        rows, _ = grpo._rows_of(tasks)
        made = grpo._trainer(
            spec, context(tmp_path / name, model=policy), rows, preflight.load_processor(policy), tasks
        )
        assert isinstance(made, WorldModelTrainer)
        return made

    return make


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_transformers_clips_as_it_did_when_that_was_overridden() -> None:
    """When this fails, read what changed, mend `zoo.trainers.dual`, and write the new digest."""
    from transformers import Trainer

    source = inspect.getsource(Trainer._clip_grad_norm)
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == "ebfa9dc91d3088ab"


def test_apart_the_policy_is_to_the_bit_the_one_without_a_world_model(train: Train) -> None:
    _, plain = train("plain", None)
    result, apart = train("apart", {"adapters": "apart", "learning_rate": 1e-2})
    assert same(weights(plain), weights(apart))
    assert same(adapter(plain / "adapter"), adapter(apart / "adapters" / "policy"))
    assert result.notes["history"][-1]["world/nll"] < result.notes["history"][0]["world/nll"]
    assert {"world_nll_start", "world_nll_end", "world_exact_end"} <= result.metrics.keys()


def test_together_the_policy_acts_through_both_and_both_are_written(train: Train, policy: Path) -> None:
    result, out = train("together", {"adapters": "together", "lora": {**LORA, "r": 2}, "learning_rate": 1e-2})
    ranks = {
        name: json.loads((out / name / "adapter_config.json").read_text("utf-8"))["r"]
        for name in ("adapters/policy", "adapters/world", "adapter")
    }
    assert ranks == {"adapters/policy": 4, "adapters/world": 2, "adapter": 6}
    base, merged = weights(policy), weights(out)
    parts = [adapter(out / "adapters" / name) for name in ("policy", "world")]
    name = "model.layers.0.self_attn.q_proj"
    added = sum(
        part[f"base_model.model.{name}.lora_B.weight"] @ part[f"base_model.model.{name}.lora_A.weight"] * scale
        for part, scale in zip(parts, (8 / 4, 8 / 2), strict=True)  # lora_alpha is 8
    )
    assert torch.allclose(merged[f"{name}.weight"], base[f"{name}.weight"] + added, atol=1e-6)
    assert all(part.abs().max() > 0 for one in parts for key, part in one.items() if "lora_B" in key)
    assert not list(out.rglob("README.md"))
    history = result.notes["history"]
    assert history[-1]["world/nll"] < history[0]["world/nll"] and history[0]["world/tokens"] > 0


def test_shared_is_one_adapter_with_both_losses(train: Train) -> None:
    _, plain = train("plain", None, trl={"max_steps": 1})
    _, out = train("shared", {"adapters": "shared"}, trl={"max_steps": 1})
    assert not (out / "adapters").exists()
    assert adapter(out / "adapter").keys() == adapter(plain / "adapter").keys()
    assert not same(adapter(out / "adapter"), adapter(plain / "adapter"))


def gradients(made: WorldModelTrainer, learner: str, backward: Callable[[], Any]) -> dict[str, torch.Tensor | None]:
    made._turn(learner)
    made.model.zero_grad()
    backward()
    return {name: value.grad for name, value in made.model.named_parameters() if "lora_" in name}


def test_the_world_models_loss_moves_its_adapter_alone(trainer: Callable[..., WorldModelTrainer]) -> None:
    made = trainer("gradients")
    made.current_gradient_accumulation_steps = 1
    rows = [told_row(made, colour) for colour in ("red", "blue", "grey")]
    found = gradients(made, "world", lambda: made._learn_world(rows))
    assert len(found) == 2 * 2 * 2 * 7  # adapters, factors, layers, matrices of a layer
    for name, gradient in found.items():
        moved = gradient is not None and "lora_B" in name and gradient.abs().max() > 0
        assert moved == (".world." in name and "lora_B" in name), name


def test_activation_checkpointing_changes_nothing(train: Train) -> None:
    """One backward over the sum of both losses would compute the policy's activations again with the wrong adapter."""
    for adapters in ("apart", "together"):
        outs = [
            train(f"{adapters}-{on}", {"adapters": adapters}, trl={"max_steps": 2, "activation_checkpointing": on})[1]
            for on in (False, True)
        ]
        for name in ("policy", "world"):
            plain, again = (adapter(out / "adapters" / name) for out in outs)
            assert all(torch.allclose(plain[key], again[key], atol=1e-5) for key in plain)
            assert any(value.abs().max() > 1e-4 for key, value in plain.items() if "lora_B" in key)


def told_row(made: WorldModelTrainer, colour: str) -> Any:
    answer = Answered((5, 6), (40, 41, made.eos_token_ids[0]), "tap(1)")
    steps = tuple(Step(screen, "tap(1)", Action("tap", (1,)), 0.0) for screen in ("red", colour))
    [row] = told(
        Rollout(Episode(made._actor.tasks[0], steps, "rounds", False, ()), (answer, answer), (0, 0)),
        made._observation_ids, 4096,
    )  # fmt: skip
    return row


def test_what_is_told_is_the_chat_with_the_answer_the_question_and_the_next_screen(
    trainer: Callable[..., WorldModelTrainer],
) -> None:
    made = trainer("told")
    row = told_row(made, "blue")
    said = made.processing_class.decode(row.prompt_ids[4:])
    assert said == "<|im_end|>\n<|im_start|>user\nThen the screen shows:<|im_end|>\n<|im_start|>assistant\n"
    assert made.processing_class.decode(row.target_ids) == "blue<|im_end|>"


def test_what_is_longer_than_the_model_is_not_told(trainer: Callable[..., WorldModelTrainer]) -> None:
    made = trainer("long")
    made.positions = 10
    answer = Answered((5,) * 8, (40,), "tap(1)")
    step = Step("red", "tap(1)", Action("tap", (1,)), 0.0)
    rollout = Rollout(Episode(made._actor.tasks[0], (step, step), "rounds", False, ()), (answer, answer), (0, 0))
    assert not list(told(rollout, made._observation_ids, made.positions))


@pytest.mark.parametrize("scale", [None, 0.5])
def test_the_loss_is_the_models_own_of_the_observations_tokens(
    trainer: Callable[..., WorldModelTrainer], scale: float | None
) -> None:
    made = trainer("loss", trl={"temperature": 0.5})
    made._bare_model().get_base_model().config.logit_scale = scale  # as Cohere's; the forward below is Llama's
    rows = [told_row(made, colour) for colour in ("red", "green")]
    made.model.eval()
    with torch.no_grad():
        nats, _ = made._loss(rows)
        expected = 0.0
        for row in rows:
            ids = torch.tensor([[*row.prompt_ids, *row.target_ids]])
            labels = ids.clone()
            labels[:, : len(row.prompt_ids)] = -100
            logits = made.model(input_ids=ids).logits[0, :-1] * (scale or 1.0)
            expected += float(torch.nn.functional.cross_entropy(logits, labels[0, 1:], reduction="sum"))
    assert float(nats) == pytest.approx(expected, rel=1e-5)


def test_samples_bound_what_is_told_and_a_step_gets_its_share(trainer: Callable[..., WorldModelTrainer]) -> None:
    made = trainer("samples", world_model={"adapters": "shared", "samples": 1}, trl={"max_steps": 1})
    made.train()
    assert len(made._told) == 16  # episodes of a generation: batch of 8, accumulated over 2
    assert [len(made._share_of_step())] == [8]


def test_a_frozen_prefix_stays_frozen_in_both_adapters(train: Train) -> None:
    frozen = ("model.layers.0",)
    _, out = train("frozen", {"adapters": "together"}, freeze=frozen, trl={"max_steps": 2})
    for name in ("policy", "world"):
        for key, value in adapter(out / "adapters" / name).items():
            if "lora_B" in key:
                assert bool(value.abs().max() > 0) != ("layers.0." in key), key

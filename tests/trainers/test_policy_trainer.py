"""What is overridden of TRL: on what it rests, dynamic sampling, episodes as samples, and every algorithm's switch."""

import hashlib
import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from toy_policy import policy_spec, spoken, taught
from toy_world import LongToy, ToyWorld
from training_rows import Context, Rows

from zoo import registry
from zoo.errors import DataError, EnvironmentFailure, ModelError
from zoo.schema import GRPOSpec
from zoo.trainers import batches, grpo, preflight
from zoo.trainers.policy_sizes import refuse_split_groups

RESTS_ON = {
    "_calculate_rewards": "736ae29b083840b5",
    "_compute_loss": "80295546bbdbf6f7",
    "_generate": "2a27fdf8f5e6f356",
    "_generate_and_score_completions": "1fa48922792dcd5c",
    "_get_per_token_logps_and_entropies": "ea73c3909275851d",
    "_generate_single_turn": "e0f02e4fc094cefd",
    "_prepare_inputs": "f824e7fb07147956",
}
RESTS_ON_FUNCTIONS = {
    "shuffle_sequence_dict": "bab038755e57ed2b",
    "split_pixel_values_by_grid": "3aca66e33a7978d3",
    "split_tensor_dict": "b61a5760a03e95db",
}


@pytest.mark.parametrize(("name", "digest"), [*RESTS_ON.items(), *RESTS_ON_FUNCTIONS.items()])
def test_trl_is_as_it_was_when_it_was_overridden(name: str, digest: str) -> None:
    """When this fails, read what changed in TRL, mend `zoo.trainers.policy_trainer`, and write the new digest."""
    from trl import GRPOTrainer
    from trl.trainer import utils

    source = inspect.getsource(getattr(GRPOTrainer if name in RESTS_ON else utils, name))
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == digest


def steps_spec(**changes: Any) -> GRPOSpec:
    trl = {
        "max_steps": 2, "per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 24,
        "learning_rate": 1e-3, **changes.pop("trl", {}),
    }  # fmt: skip
    usual = {"dtype": "float32", "save_dtype": "float32", "checkpoint_steps": 2}
    return GRPOSpec.model_validate({"model": "a/b", "data": "stage:rows", "trl": trl, **usual, **changes})


def trainer_of(spec: GRPOSpec, model: Path, data: Path, context: Context) -> Any:
    """The trainer as the stage makes it, over logged steps."""
    rows = preflight.read_rows(data, ("prompt", "solution"))
    return grpo._trainer(spec, context(model, data), rows, preflight.load_processor(model), ())


ALGORITHMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "dapo": ({"loss_type": "dapo", "epsilon_high": 0.28}, {"loss_type": "dapo", "epsilon_high": 0.28}),
    "dr-grpo": (
        {"loss_type": "dr_grpo", "scale_rewards": "none"}, {"loss_type": "dr_grpo", "scale_rewards": "none"},
    ),
    "gspo": (
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon": 3e-4, "epsilon_high": 4e-4},
        {"importance_sampling_level": "sequence", "epsilon_low": 3e-4, "epsilon_high": 4e-4},
    ),
    "cispo": ({"loss_type": "cispo", "epsilon_high": 5.0}, {"loss_type": "cispo", "epsilon_high": 5.0}),
    "token-level": ({"loss_type": "bnpo"}, {"loss_type": "bnpo"}),
    "clip-higher alone": ({"epsilon": 0.2, "epsilon_high": 0.3}, {"epsilon_low": 0.2, "epsilon_high": 0.3}),
}  # fmt: skip


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithms_switch_reaches_the_trainer_and_a_step_runs(
    taught_llama: Path, rows: Rows, context: Context, algorithm: str
) -> None:
    options, expected = ALGORITHMS[algorithm]
    trainer = trainer_of(steps_spec(trl={**options, "max_steps": 1}), taught_llama, rows(), context)
    assert {name: getattr(trainer, name) for name in expected} == expected
    before = trainer.model.model.embed_tokens.weight.detach().clone()
    trainer.train()
    assert not torch.equal(before, trainer.model.model.embed_tokens.weight)


@pytest.fixture
def by_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.REWARDS, "by-task", "toy_rewards:ByTask")
    monkeypatch.setitem(registry.REWARDS, "nothing", "toy_rewards:Nothing")


def generated(trainer: Any, rows: list[int]) -> Any:
    """One generation batch of these rows of the dataset, each four times."""
    trainer.model.train()
    return trainer._generate_and_score_completions([dict(trainer.train_dataset[n]) for n in rows for _ in range(4)])


@pytest.mark.usefixtures("by_task")
def test_groups_without_spread_give_way_to_others(taught_llama: Path, rows: Rows, context: Context) -> None:
    spec = steps_spec(rewards=[{"name": "by-task"}], dynamic_sampling={"rounds": 8})
    trainer = trainer_of(spec, taught_llama, rows(), context)
    batch = generated(trainer, [0, 2])  # both even: nothing to learn from either
    assert batch["advantages"].view(-1, 4).abs().amax(1).gt(0).all()
    assert batch["prompt_ids"].shape[0] == batch["completion_mask"].shape[0] == 8
    assert batch["num_items_in_batch"] == batch["completion_mask"].sum()
    logged = trainer._metrics["train"]
    assert logged["sampling/filled"] == [1.0] and logged["sampling/rounds"][0] >= 1
    assert logged["sampling/groups"][0] > 2


@pytest.mark.usefixtures("by_task")
def test_a_batch_that_is_full_samples_once(taught_llama: Path, rows: Rows, context: Context) -> None:
    spec = steps_spec(rewards=[{"name": "by-task"}], dynamic_sampling={"rounds": 8})
    trainer = trainer_of(spec, taught_llama, rows(), context)
    generated(trainer, [1, 3])
    assert trainer._metrics["train"]["sampling/rounds"] == [0.0]
    assert trainer._metrics["train"]["sampling/groups"] == [2.0]


@pytest.mark.usefixtures("by_task")
def test_sampling_ends_and_what_teaches_nothing_is_silent(taught_llama: Path, rows: Rows, context: Context) -> None:
    spec = steps_spec(rewards=[{"name": "nothing"}], dynamic_sampling={"rounds": 2, "oversample": 3.0})
    trainer = trainer_of(spec, taught_llama, rows(), context)
    batch = generated(trainer, [0, 1])
    assert trainer._metrics["train"]["sampling/groups"] == [6.0 + 2.0 + 2.0]
    assert batch["completion_mask"].sum() == batch["num_items_in_batch"] == 0
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train()
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())


@pytest.mark.usefixtures("by_task")
@pytest.mark.parametrize(
    "sizes",
    [
        {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
        {"per_device_train_batch_size": 4, "steps_per_generation": 2},
        {"num_iterations": 2},
        {"beta": 0.05},
    ],
    ids=["accumulated", "used twice", "iterated", "with a reference"],
)
def test_sampling_goes_with_every_way_to_use_a_batch(
    taught_llama: Path, rows: Rows, context: Context, sizes: dict[str, Any]
) -> None:
    spec = steps_spec(
        rewards=[{"name": "by-task"}], dynamic_sampling={"rounds": 4}, trl={"max_steps": 2, **sizes}
    )  # fmt: skip
    result = grpo.run(spec, context(taught_llama, rows()))
    filled = [point["sampling/filled"] for point in result.notes["history"] if "sampling/filled" in point]
    assert filled and max(filled) == 1.0
    assert all(point["samples/trained"] > 0 for point in result.notes["history"] if "samples/trained" in point)


@pytest.mark.usefixtures("by_task")
def test_images_go_where_their_row_goes(tiny_vlm: Path, rows: Rows, context: Context) -> None:
    trl = {"num_generations": 2, "per_device_train_batch_size": 4, "max_completion_length": 6}
    spec = steps_spec(rewards=[{"name": "by-task"}], dynamic_sampling={"rounds": 4}, trl=trl, freeze=("model.visual",))
    result = grpo.run(spec, context(tiny_vlm, rows(8, images=True)))
    assert result.metrics["steps"].value == 2


def test_a_denoised_batch_of_logged_steps_compares_with_the_others_alone(
    taught_llama: Path, rows: Rows, context: Context
) -> None:
    spec = steps_spec(denoise={"unreadable": False, "signed": False, "spread": 0.0})
    trainer = trainer_of(spec, taught_llama, rows(), context)
    batch = generated(trainer, [0, 1])
    scores = torch.tensor([one.score for one in trainer._answers]).view(2, 4)
    expected = 2 * (scores - (scores.sum(1, keepdim=True) - scores) / 3)
    torch.testing.assert_close(batch["advantages"].view(2, 4), expected, atol=1e-5, rtol=1e-5)
    logged, spreads = trainer._metrics["train"], scores.amax(1) - scores.amin(1)
    assert logged["group_spread"] == [pytest.approx(float(spreads.mean()))] and len(logged["samples_per_second"]) == 1
    quiet = batch["advantages"] == 0
    assert batch["completion_mask"][quiet].sum() == 0 and batch["completion_mask"][~quiet].any(1).all()


def test_a_key_of_trls_that_nobody_knows_is_noticed() -> None:
    piece = {"advantages": torch.ones(2), "prompt_ids": torch.ones(2, 3), "completion_ids": torch.ones(2, 3)}
    with pytest.raises(KeyError, match="new_key"):
        batches.joined([{**piece, "new_key": torch.ones(2, 3)}] * 2, 0)


def test_batches_of_two_widths_are_padded_where_trl_pads() -> None:
    def piece(width: int, value: int) -> batches.Batch:
        ones = torch.ones(1, width, dtype=torch.long)
        return {
            "prompt_ids": ones * value, "prompt_mask": ones, "completion_ids": ones * value, "completion_mask": ones,
            "mm_token_type_ids": torch.ones(1, 2 * width), "old_per_token_logps": ones * -0.5,
            "advantages": torch.tensor([float(value)]), "num_items_in_batch": torch.tensor(width),
        }  # fmt: skip

    whole = batches.joined([piece(2, 5), piece(3, 7)], padding_token=9)
    assert whole["prompt_ids"].tolist() == [[9, 5, 5], [7, 7, 7]]
    assert whole["prompt_mask"].tolist() == [[0, 1, 1], [1, 1, 1]]
    assert whole["completion_ids"].tolist() == [[5, 5, 9], [7, 7, 7]]
    assert whole["completion_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert whole["mm_token_type_ids"].tolist() == [[0, 1, 1, 1, 1, 0], [1] * 6]
    assert whole["old_per_token_logps"].tolist() == [[-0.5, -0.5, 0.0], [-0.5] * 3]
    assert whole["advantages"].tolist() == [5.0, 7.0] and "num_items_in_batch" not in whole


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENVIRONMENTS, "phone", "toy_world:ToyWorld")


@pytest.fixture
def breakable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENVIRONMENTS, "phone", "toy_world:BreakableToy")


@pytest.fixture(scope="module")
def tapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Knows how to tap, and on which button by chance. Only read."""
    return taught(tmp_path_factory.mktemp("tapper"))


def world_trainer(spec: GRPOSpec, model: Path, context: Context, world: Any = ToyWorld) -> Any:
    assert spec.environment
    tasks = world.draw_tasks("train", spec.environment.tasks, 7)
    rows, _ = grpo._rows_of(tasks)
    return grpo._trainer(spec, context(model, model), rows, preflight.load_processor(model), tasks)


@pytest.mark.usefixtures("toy")
def test_every_step_of_an_episode_is_a_sample_with_its_episodes_advantage(tapper: Path, context: Context) -> None:
    trainer = world_trainer(policy_spec(), tapper, context)
    batch = generated(trainer, [0, 1])
    expected = []
    for start in (0, 4):
        seen = trainer._seen[start : start + 4]
        scores = torch.tensor([one.score for one in seen])
        values = (scores - scores.mean()) / (scores.std() + 1e-4) if scores.std() > 1e-6 else torch.zeros(4)
        expected += [float(v) for v, one in zip(values, seen, strict=True) for _ in one.rollout.answers if v]
    found = batch["advantages"][: len(expected)].tolist()
    assert expected and found == pytest.approx(expected, abs=1e-4)
    logged, worth = trainer._metrics["train"], [one.score for one in trainer._seen]
    spreads = [max(worth[start : start + 4]) - min(worth[start : start + 4]) for start in (0, 4)]
    assert logged["group_spread"] == [pytest.approx(sum(spreads) / 2)]
    assert len(logged["samples_per_second"]) == 1
    prompts = [one.answer.prompt_ids for one in trainer._handed]
    for row, prompt in enumerate(prompts):
        assert batch["prompt_ids"][row][batch["prompt_mask"][row].bool()].tolist() == list(prompt)


@pytest.mark.parametrize(("spared", "trained"), [(True, [4]), (False, [1, 2, 3, 4])])
def test_the_right_beginning_of_a_failed_episode_is_no_row_of_the_loss(
    tapper: Path, context: Context, monkeypatch: pytest.MonkeyPatch, spared: bool, trained: list[int]
) -> None:
    monkeypatch.setitem(registry.ENVIRONMENTS, "phone", "toy_world:LongToy")
    trl = {"per_device_train_batch_size": 2, "num_generations": 2}
    spec = policy_spec(denoise={"spare_prefix": spared}, agent={"rounds": 4}, trl=trl)
    trainer = world_trainer(spec, tapper, context, LongToy)
    made = spoken(("tap(3)", "tap(1)", "tap(3)", "tap(1)"), ("tap(3)",) * 4)
    monkeypatch.setattr(trainer._actor, "act", lambda rows, round_: made)
    trainer.model.train()
    batch = trainer._generate_and_score_completions([dict(trainer.train_dataset[0]) for _ in range(2)])
    assert [one.answer.prompt_ids for one in trainer._handed] == [*((1, step) for step in trained), (2, 1)]
    assert batch["advantages"].tolist() == pytest.approx([-2.5] * len(trained) + [2.5])
    assert trainer._metrics["train"]["denoise/spared"] == [4 - len(trained)]


@pytest.mark.usefixtures("toy")
def test_what_the_record_says_of_episodes_is_of_episodes(tapper: Path, context: Context) -> None:
    ctx = context(tapper, tapper)
    result = grpo.run(policy_spec(), ctx)
    for point in result.notes["history"]:
        whole = point["rewards/success/mean"] + 0.5 * point["rewards/sub-goals/mean"]
        assert point["reward"] == pytest.approx(whole)
        assert point["success"] == pytest.approx(point["rewards/success/mean"])
        assert 1 <= point["episode/steps"] <= 3
        assert 0 < point["group_spread"] <= 1.5, "the least is worth nothing, the most 1 and half of 1"
        assert point["clip_ratio/low_mean"] == point["clip_ratio/high_mean"] == 0, "answers are used once"
        assert 1 <= point["completions/mean_length"] <= 8 and 0 <= point["completions/clipped_ratio"] <= 1
        assert 0 <= point["frac_reward_zero_std"] < 1 and point["entropy"] > 0
    assert {"success_start", "success_end", "reward_end", "reward_sub-goals_end"} <= result.metrics.keys()
    before, after = load_file(tapper / "model.safetensors"), load_file(ctx.out / "model.safetensors")
    assert not any(torch.equal(before[name], after[name]) for name in before)
    told = [json.loads(line) for line in (ctx.out / "history.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in told] == [1, 2] and not any("samples_per_second" in line for line in told)
    lines = [json.loads(line) for line in (ctx.out / "completions.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == result.notes["kept_answers"] == 16
    assert {line["step"] for line in lines} == {1, 2} and all(line["answers"] for line in lines)
    assert lines[0]["rewards"].keys() == {"success", "sub-goals"} and lines[0]["task"].startswith("toy.")


@pytest.mark.usefixtures("breakable")
@pytest.mark.parametrize("denoise", [None, {}], ids=["plain", "denoised"])
def test_an_episode_whose_world_breaks_down_teaches_nothing_and_moves_no_baseline(
    tapper: Path, context: Context, denoise: Any
) -> None:
    from toy_world import BreakableToy

    trainer = world_trainer(policy_spec(denoise=denoise), tapper, context, BreakableToy)
    generated(trainer, [0, 1])
    broken = [one for one in trainer._seen if one.rollout.episode.ended == "error"]
    assert broken and all(one.score is None for one in broken)
    handed = {id(one.answer) for one in trainer._handed}
    assert not any(id(answer) in handed for one in broken for answer in one.rollout.answers)
    logged = trainer._metrics["train"]
    assert logged["episode/error"] == [len(broken) / 8]
    assert not denoise is not None or logged["denoise/errors"] == [len(broken)]


@pytest.mark.usefixtures("toy")
def test_steps_beyond_what_memory_was_set_for_are_left_out_and_counted(tapper: Path, context: Context) -> None:
    spec = policy_spec(environment={"samples": 1}, trl={"max_steps": 1, "per_device_train_batch_size": 8})
    trainer = world_trainer(spec, tapper, context)
    batch = generated(trainer, [0, 1])
    assert batch["prompt_ids"].shape[0] == 8
    logged = trainer._metrics["train"]
    assert logged["samples/trained"] == [8.0] and logged["samples/left_out"][0] > 0


@pytest.mark.usefixtures("toy")
def test_episodes_go_with_accumulation_and_reuse_and_a_reference(tapper: Path, context: Context) -> None:
    trl = {
        "max_steps": 4, "per_device_train_batch_size": 8, "steps_per_generation": 2, "num_iterations": 2, "beta": 0.01
    }  # fmt: skip
    result = grpo.run(policy_spec(trl=trl, checkpoint_steps=4), context(tapper, tapper))
    assert result.metrics["steps"].value == 4


@pytest.mark.usefixtures("toy")
def test_threads_change_nothing(tapper: Path, context: Context) -> None:
    outcomes = []
    for number, workers in enumerate((1, 4)):
        ctx = context(tapper, tapper, f"run-{number}")
        grpo.run(policy_spec(environment={"workers": workers}, trl={"max_steps": 1}, checkpoint_steps=1), ctx)
        outcomes.append((ctx.out / "model.safetensors").read_bytes())
    assert outcomes[0] == outcomes[1]


@pytest.mark.usefixtures("toy")
def test_tasks_without_spread_give_way_to_others(tapper: Path, context: Context) -> None:
    spec = policy_spec(
        dynamic_sampling={"rounds": 6}, environment={"tasks": 16}, trl={"per_device_train_batch_size": 8}
    )
    trainer = world_trainer(spec, tapper, context)
    generated(trainer, [0, 1])
    logged = trainer._metrics["train"]
    assert logged["sampling/filled"] == [1.0] or logged["sampling/rounds"] == [6.0]
    assert len(trainer._seen) == 4 * logged["sampling/groups"][0]


@pytest.mark.parametrize(("by", "groups", "filled"), [("score", 1.0, 1.0), ("success", 3.0, 0.0)])
def test_failures_of_two_lengths_give_way_where_success_decides(
    tapper: Path, context: Context, monkeypatch: pytest.MonkeyPatch, by: str, groups: float, filled: float
) -> None:
    monkeypatch.setitem(registry.ENVIRONMENTS, "phone", "toy_world:LongToy")
    spec = policy_spec(
        dynamic_sampling={"rounds": 2, "by": by}, agent={"rounds": 4}, trl={"per_device_train_batch_size": 4},
        rewards=[{"name": "outcome"}, {"name": "overlong", "options": {"most_tokens": 8, "window_tokens": 7}}],
    )  # fmt: skip
    trainer = world_trainer(spec, tapper, context, LongToy)
    short = spoken(*[("tap(1)",) * 4] * 4)
    long = [replace(one, answers=tuple(replace(a, completion_ids=(5,) * 6) for a in one.answers)) for one in short]
    monkeypatch.setattr(trainer._actor, "act", lambda rows, round_: [*short[:2], *long[2:]])
    trainer.model.train()
    batch = trainer._generate_and_score_completions([dict(trainer.train_dataset[0]) for _ in range(4)])
    logged = trainer._metrics["train"]
    assert (logged["sampling/groups"], logged["sampling/filled"]) == ([groups], [filled])
    assert bool(batch["tool_mask"].sum()) == bool(filled)


@pytest.mark.usefixtures("toy")
def test_a_prompt_without_room_for_an_answer_is_a_step_lost_and_no_crash(tapper: Path, context: Context) -> None:
    trainer = world_trainer(policy_spec(), tapper, context)
    trainer._actor.speaker = replace(trainer._actor.speaker, longest=42)
    batch = generated(trainer, [0, 1])
    assert all(not answer.completion_ids for one in trainer._seen for answer in one.rollout.answers)
    assert batch["tool_mask"].sum() == batch["num_items_in_batch"] == 0


def test_the_embedded_phone_is_trained_on_as_it_is_evaluated(taught_llama: Path, context: Context) -> None:
    agent = {"rounds": 2, "memory": "assessments", "memory_steps": 2, "answer_tokens": 24}
    spec = policy_spec(
        agent=agent, environment={"tasks": 4}, trl={"per_device_train_batch_size": 8}, checkpoint_steps=1,
        rewards=[{"name": "success"}, {"name": "sub-goals", "weight": 0.5}, {"name": "readable", "weight": 0.1}],
    )  # fmt: skip
    result = grpo.run(spec, context(taught_llama, taught_llama))
    assert result.metrics["steps"].value == 2
    assert all("rewards/readable/mean" in point for point in result.notes["history"])


def test_a_model_that_sees_acts_on_text_too(tiny_vlm: Path, context: Context) -> None:
    trl = {"max_steps": 1, "per_device_train_batch_size": 4, "num_generations": 2}
    spec = policy_spec(
        agent={"rounds": 2, "answer_tokens": 8}, environment={"tasks": 4}, trl=trl, freeze=("model.visual",),
        rewards=[{"name": "success"}, {"name": "overlong", "options": {"most_tokens": 8, "window_tokens": 7}}],
    )  # fmt: skip
    result = grpo.run(spec, context(tiny_vlm, tiny_vlm))
    assert result.metrics["steps"].value == 1


def test_too_many_tasks_are_refused_before_weights_are_loaded(tiny_llama: Path, context: Context) -> None:
    with pytest.raises(DataError, match="`tasks: 1000000` is too many"):
        grpo.run(policy_spec(environment={"tasks": 1_000_000}), context(tiny_llama, tiny_llama))


def test_vllm_is_refused_on_a_cpu(tiny_llama: Path, rows: Rows, context: Context) -> None:
    with pytest.raises(EnvironmentFailure, match="needs a GPU, and this stage runs on cpu"):
        grpo.run(steps_spec(trl={"use_vllm": True}), context(tiny_llama, rows()))


def test_groups_that_processes_would_share_are_refused(taught_llama: Path, rows: Rows, context: Context) -> None:
    trainer = trainer_of(steps_spec(denoise={}), taught_llama, rows(), context)
    trainer.num_generations = 3
    with pytest.raises(ModelError, match="groups of num_generations 3 would be split over processes"):
        refuse_split_groups(trainer)

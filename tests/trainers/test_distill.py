"""Distilling between tiny real models: what is learned from whom, what is stored, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_rows import Context, Rows
from transformers import AutoTokenizer

from zoo import tiny
from zoo.actions import parse
from zoo.errors import DataError, ModelError
from zoo.estimate import logit_token_bytes
from zoo.records import StageContext
from zoo.schema import DistillSpec, LogitsSpec
from zoo.trainers import distill
from zoo.trainers.distill.store import LogitStore

LORA = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
AGENT = {"style": "terse", "observation": "terse", "rounds": 2, "answer_tokens": 16}


@pytest.fixture(scope="module")
def teacher(taught_llama: Path) -> Path:
    """A model of the student's family that already answers."""
    return taught_llama


def spec(**changes: Any) -> DistillSpec:
    trl = {"max_steps": 6, "per_device_train_batch_size": 4, "learning_rate": 1e-2, **changes.pop("trl", {})}
    usual = {"dtype": "float32", "save_dtype": "float32", "checkpoint_steps": 3, "model": "a/b", "data": "stage:rows"}
    if "logits" not in changes and changes.get("weights", {}).get("logits", 1):
        usual["teacher"] = "a/c"
    return DistillSpec.model_validate({"trl": trl, **usual, **changes})


def beside(ctx: StageContext, **inputs: Path) -> StageContext:
    return StageContext(ctx.out, ctx.scratch, {**ctx.inputs, **inputs}, ctx.seed, progress=ctx.progress)


def stored(teacher: Path, data: Path, ctx: StageContext, **changes: Any) -> Path:
    settings = {"model": "a/c", "data": "stage:rows", "dtype": "float32", **changes}
    distill.capture(LogitsSpec.model_validate(settings), ctx)
    return ctx.out


@pytest.mark.parametrize("gold", [False, True], ids=["own", "gold"])
def test_muon_takes_the_matrices_of_a_student_too(
    tiny_llama: Path, teacher: Path, rows: Rows, context: Context, gold: bool
) -> None:
    ctx = beside(context(tiny_llama, rows()), teacher=teacher)
    result = distill.run(spec(optimizer="muon", gold=gold, checkpoint_steps=2, trl={"max_steps": 2}), ctx)
    state = torch.load(ctx.scratch / "checkpoints" / "checkpoint-2" / "optimizer.pt", weights_only=True)
    muon, *adamw = state["param_groups"]
    assert muon["momentum"] == 0.95 and len(muon["params"]) == 14 and all("betas" in group for group in adamw)
    assert result.metrics["steps"].value == 2
    with pytest.raises(ValueError, match="both set"):
        spec(optimizer="muon", trl={"optim": "sgd"})


def test_what_is_unset_is_in_no_key() -> None:
    assert "optimizer" not in spec().model_dump(mode="json")
    assert DistillSpec.model_validate(spec(optimizer="muon").model_dump()).optimizer


def test_a_student_comes_closer_to_its_teacher_without_seeing_an_answer(
    tiny_llama: Path, teacher: Path, rows: Rows, context: Context
) -> None:
    ctx = beside(context(tiny_llama, rows()), teacher=teacher)
    alone = {"behaviour": 0.0, "chain_of_thought": 0.0, "logits": 1.0}
    result = distill.run(spec(weights=alone, trl={"max_steps": 40}), ctx)
    history = result.notes["loss"]
    assert history[-1]["divergence"] < 0.5 * history[0]["divergence"]
    assert history[-1]["loss"] == pytest.approx(history[-1]["divergence"], rel=1e-3)
    assert history[-1]["behaviour"] < history[0]["behaviour"], "the teacher knows the answers"
    before, after = load_file(tiny_llama / "model.safetensors"), load_file(ctx.out / "model.safetensors")
    assert len(after) == 20 and not any(torch.equal(before[name], after[name]) for name in after)
    lines = [json.loads(line) for line in (ctx.out / "history.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 41)) and {"loss", "divergence"} <= lines[0].keys()


def test_the_loss_is_the_weighted_sum_of_its_parts(
    tiny_llama: Path, teacher: Path, rows: Rows, context: Context
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from zoo.trainers.distill.rows import IGNORED, tokenize
    from zoo.trainers.preflight import read_rows

    data = rows(4)
    weights = {"behaviour": 0.3, "chain_of_thought": 0.2, "logits": 0.9}
    result = distill.run(
        spec(weights=weights, temperature=2.0, loss="reverse", trl={"max_steps": 1}),
        beside(context(tiny_llama, data), teacher=teacher),
    )
    models = [AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64) for folder in (tiny_llama, teacher)]
    total, count = 0.0, 0
    made = read_rows(data, ("prompt", "completion"))
    for row in tokenize(made, AutoTokenizer.from_pretrained(tiny_llama)):
        with torch.no_grad():
            s, t = (model(input_ids=torch.tensor([row.input_ids])).logits[0, :-1] for model in models)
        for at, label in enumerate(row.labels[1:]):
            if label == IGNORED:
                continue
            count += 1
            own = weights["chain_of_thought" if row.reasoning[at + 1] else "behaviour"]
            total -= own * float(s[at].log_softmax(-1)[label])
            p, q = (s[at] / 2).log_softmax(-1), (t[at] / 2).log_softmax(-1)
            total += weights["logits"] * 4 * float((p.exp() * (p - q)).sum())
    assert result.metrics["train_loss"].value == pytest.approx(total / count, rel=1e-4)


def test_stored_logits_teach_what_the_teacher_does(
    tiny_llama: Path, teacher: Path, rows: Rows, context: Context
) -> None:
    """All tokens kept, the same weights come out but for float16's rounding."""
    data = rows()
    kept = stored(teacher, data, context(teacher, data, "kept"), top_k=675, temperatures=[1.0, 2.0])
    ended = []
    for name, changes, inputs in (
        ("memory", {}, {"teacher": teacher}),
        ("disk", {"logits": "stage:kept"}, {"logits": kept}),
    ):
        ctx = beside(context(tiny_llama, data, name), **inputs)
        result = distill.run(spec(temperature=2.0, trl={"learning_rate": 1e-3}, **changes), ctx)
        ended.append(result.metrics["divergence"].value)
    assert ended[0] == pytest.approx(ended[1], rel=5e-3) and ended[0] > 0.01


def test_a_store_says_its_size_and_what_it_left_out(teacher: Path, rows: Rows, context: Context) -> None:
    data = rows(20)
    ctx = context(teacher, data, "kept")
    settings = LogitsSpec.model_validate({"model": "a/c", "data": "stage:rows", "top_k": 8, "temperatures": [1, 4]})
    result = distill.capture(settings, ctx)
    tokens = result.metrics["tokens"].value
    per_token = logit_token_bytes(8, 2)
    assert result.metrics["bytes_per_token"].value == per_token == 56
    assert per_token * tokens < result.metrics["bytes"].value < per_token * tokens + 16 * 20 + 1000
    cold, hot = (point["kept_mass"] for point in result.notes["kept_mass"])
    assert 0.5 < cold < 1 and hot < cold and result.metrics["kept_mass"].value == hot
    row = LogitStore(ctx.out).row(3, 4.0)
    assert row.ids.shape == row.log_probabilities.shape == (len(row.log_tail), 8)
    assert sorted(path.name for path in ctx.out.iterdir()) == ["logits-00000.safetensors", "logits.json"]


def test_logits_of_other_rows_or_another_temperature_are_refused(
    tiny_llama: Path, teacher: Path, rows: Rows, context: Context
) -> None:
    kept = stored(teacher, rows(8), context(teacher, rows(8), "kept"), top_k=4)
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({}, 9, "of 8 rows, the data has 9"),
        ({"temperature": 2.0}, 8, r"no temperature 2.0, but \[1.0\]"),
    ]
    for number, (changes, count, words) in enumerate(wrong):
        ctx = beside(context(tiny_llama, rows(count), str(number)), logits=kept)
        with pytest.raises(DataError, match=words):
            distill.run(spec(logits="stage:kept", **changes), ctx)
    data = rows(8)
    text = (data / "rows.jsonl").read_text("utf-8").replace("button 3", "button 4")
    (data / "rows.jsonl").write_text(text, "utf-8")
    with pytest.raises(DataError, match="row 3 was scored as other tokens"):
        distill.run(spec(logits="stage:kept"), beside(context(tiny_llama, data, "other"), logits=kept))


def test_a_store_that_was_cut_off_goes_on_from_its_last_shard(teacher: Path, rows: Rows, context: Context) -> None:
    def die(step: int, total: int | None = None, **_: Any) -> None:
        raise KeyboardInterrupt

    data = rows(600)
    whole = stored(teacher, data, context(teacher, data, "whole"), top_k=2)
    cut = context(teacher, data, "cut", progress=die)
    with pytest.raises(KeyboardInterrupt):
        stored(teacher, data, cut, top_k=2)
    (shard,) = cut.scratch.iterdir()
    written = shard.stat().st_mtime_ns
    again = StageContext(cut.out, cut.scratch, cut.inputs, cut.seed)
    stored(teacher, data, again, top_k=2)
    assert (cut.out / shard.name).stat().st_mtime_ns == written
    files = sorted(path.name for path in whole.iterdir())
    assert files == ["logits-00000.safetensors", "logits-00001.safetensors", "logits.json"]
    assert all((whole / name).read_bytes() == (cut.out / name).read_bytes() for name in files)


def test_the_students_own_answers_are_scored_and_counted(
    tiny_llama: Path, teacher: Path, rows: Rows, context: Context
) -> None:
    ctx = beside(context(tiny_llama, rows()), teacher=teacher)
    own = {"lmbda": 0.5, "loss": "reverse", "rollouts": {"answer_tokens": 12}, "trl": {"max_steps": 24}}
    result = distill.run(spec(**own), ctx)
    history = result.notes["loss"]
    shares = [point["own_answers"] for point in history]
    assert set(shares) == {0.0, 1.0} and 6 <= sum(shares) <= 18
    for point in history:
        assert ("behaviour" in point) == (point["own_answers"] == 0.0), "nobody imitates what it said itself"
        if point["own_answers"]:
            assert point["loss"] == pytest.approx(0.5 * point["divergence"], rel=1e-3), "the mean over its own tokens"


def test_in_a_world_the_student_plays_anew_every_round(
    tiny_llama: Path, teacher: Path, rows: Rows, context: Context
) -> None:
    ctx = beside(context(tiny_llama, rows(8)), teacher=teacher)
    world = {"source": "world", "rounds": 3, "tasks": 2}
    result = distill.run(spec(lmbda=1.0, loss="jsd", rollouts=world, agent=AGENT, lora=LORA), ctx)
    rounds = result.notes["rounds"]
    assert [(one["round"], one["episodes"], one["turns"]) for one in rounds] == [(0, 2, 4), (1, 2, 4), (2, 2, 4)]
    kept = [json.loads((ctx.scratch / "rounds" / f"round-000{n}.json").read_text("utf-8")) for n in range(3)]
    prompts = [{tuple(turn["prompt"]) for turn in one["turns"]} for one in kept]
    assert not prompts[0] & prompts[1] and not prompts[1] & prompts[2], "no round has the tasks of another"
    assert all(0 < len(turn["answer"]) <= 16 for one in kept for turn in one["turns"])
    assert all(point["own_answers"] == 1.0 for point in result.notes["loss"])


def test_a_constrained_student_plays_by_the_grammar_of_each_screen(
    tiny_llama: Path, teacher: Path, rows: Rows, context: Context
) -> None:
    ctx = beside(context(tiny_llama, rows(8)), teacher=teacher)
    agent, world = {**AGENT, "constrained": True, "answer_tokens": 200}, {"source": "world", "rounds": 1, "tasks": 3}
    distill.run(spec(lmbda=1.0, rollouts=world, agent=agent, trl={"max_steps": 1}, checkpoint_steps=1), ctx)
    kept = json.loads((ctx.scratch / "rounds" / "round-0000.json").read_text("utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    answers = [turn["answer"] for turn in kept["turns"]]
    ended = [tokenizer.decode(one[:-1]) for one in answers if one[-1] == tokenizer.eos_token_id]
    assert all(tokenizer.decode(one).startswith("<REASONING>") for one in answers)
    assert ended and all(parse(text) for text in ended)


def test_behaviour_and_reasoning_alone_need_no_teacher(tiny_llama: Path, rows: Rows, context: Context) -> None:
    weights = {"logits": 0.0, "behaviour": 1.0, "chain_of_thought": 0.0}
    result = distill.run(spec(weights=weights, trl={"max_steps": 20}), context(tiny_llama, rows()))
    history = result.notes["loss"]
    assert history[-1]["loss"] < 0.5 * history[0]["loss"] and "divergence" not in history[0]
    fallen = {name: history[0][name] - history[-1][name] for name in ("behaviour", "chain_of_thought")}
    assert fallen["chain_of_thought"] < 0.5 * fallen["behaviour"], "reasoning has no weight"


def test_a_teacher_with_other_tokens_is_refused_before_its_weights_are_read(
    tiny_llama: Path, tiny_vlm: Path, tmp_path: Path, rows: Rows, context: Context
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("tokenizer.json", "config.json"):
        (bare / name).write_bytes((tiny_vlm / name).read_bytes())
    with pytest.raises(ModelError, match=r"another vocabulary: \d+ of 675 numbers .*gold: true"):
        distill.run(spec(), beside(context(tiny_llama, rows()), teacher=bare))


def test_a_wider_padded_teacher_teaches(tiny_llama: Path, tmp_path: Path, rows: Rows, context: Context) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from zoo import checkpoint

    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    model.resize_token_embeddings(704)
    (tmp_path / "padded").mkdir()
    checkpoint.save(model, AutoTokenizer.from_pretrained(tiny_llama), tmp_path / "padded", "float32")
    ctx = beside(context(tiny_llama, rows()), teacher=tmp_path / "padded")
    result = distill.run(spec(lmbda=0.5, trl={"max_steps": 2}), ctx)
    assert result.notes["shared_tokens"] == 675
    assert result.notes["loss"][0]["divergence"] == pytest.approx(0.0, abs=1e-5), "the padding says nothing"


def test_a_divergence_that_is_no_number_stops_the_stage(
    tiny_llama: Path, teacher: Path, rows: Rows, context: Context
) -> None:
    ctx = beside(context(tiny_llama, rows()), teacher=teacher)
    wild = {"learning_rate": 1e30, "max_grad_norm": 0.0, "lr_scheduler_type": "constant"}
    with pytest.raises(ModelError, match=r"is nan at step \d+; .*checkpoint.*; lower `learning_rate`"):
        distill.run(spec(trl=wild, checkpoint_steps=1), ctx)
    assert list(ctx.out.iterdir()) == []


def test_an_adapter_is_kept_beside_and_the_same_seed_gives_the_same_bits(
    tiny_llama: Path, teacher: Path, rows: Rows, context: Context
) -> None:
    data, made = rows(), []
    for name in ("a", "b"):
        ctx = beside(context(tiny_llama, data, name), teacher=teacher)
        own = {"lmbda": 0.5, "rollouts": {"answer_tokens": 8}}
        distill.run(spec(lora={**LORA, "lora_dropout": 0.1}, **own), ctx)
        made.append((ctx.out / "model.safetensors").read_bytes())
        assert (ctx.out / "adapter" / "adapter_model.safetensors").is_file()
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher": "a/c", "logits": "stage:kept"}, "say the same thing twice"),
        ({"teacher": None, "weights": {"logits": 0.5}}, "nobody teaches"),
        ({"teacher": "a/c", "weights": {"logits": 0.0}}, "nobody asks the teacher"),
        ({"logits": "stage:kept", "lmbda": 0.5}, "stored logits do not know them"),
        ({"gold": True, "rollouts": {"source": "world"}}, "to rows only"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        spec(**changes)


def test_a_token_that_the_teacher_does_not_know_is_named(
    tiny_llama: Path, tmp_path: Path, rows: Rows, context: Context
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from zoo import checkpoint

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<tool>"]})
    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    model.resize_token_embeddings(len(tokenizer))
    (tmp_path / "more").mkdir()
    checkpoint.save(model, tokenizer, tmp_path / "more", "float32")
    data = rows()
    text = (data / "rows.jsonl").read_text("utf-8").replace("You operate", "<tool> You operate")
    (data / "rows.jsonl").write_text(text, "utf-8")
    with pytest.raises(DataError, match="have the token '<tool>', which the teacher does not know"):
        distill.run(spec(), beside(context(tmp_path / "more", data), teacher=tiny_llama))


def test_tiny_models_of_one_kind_share_their_tokens(tmp_path: Path, tiny_llama: Path) -> None:
    from zoo.vocabularies import check_folders

    tiny.make("llama", tmp_path, seed=5)
    assert check_folders(tiny_llama, tmp_path) == 675


def test_rows_that_are_too_long_for_the_teacher_are_named(
    tiny_llama: Path, tmp_path: Path, rows: Rows, context: Context
) -> None:
    short = tmp_path / "short"
    short.mkdir()
    (short / "tokenizer.json").write_bytes((tiny_llama / "tokenizer.json").read_bytes())
    config = json.loads((tiny_llama / "config.json").read_text("utf-8"))
    (short / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 70}), "utf-8")
    data = rows()
    with pytest.raises(DataError, match="max_position_embeddings is 70"):
        own = {"lmbda": 1.0, "rollouts": {"answer_tokens": 60}}
        distill.run(spec(**own), beside(context(tiny_llama, data), teacher=short))
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        if (tiny_llama / name).is_file():
            (short / name).write_bytes((tiny_llama / name).read_bytes())
    with pytest.raises(DataError, match=r"row 1 \(tap-0\) is \d+ tokens to the teacher, which reads 40"):
        gold = {"gold": True, "lmbda": 1.0, "rollouts": {"answer_tokens": 30}}
        distill.run(spec(**gold), beside(context(tiny_llama, data, "gold"), teacher=short))

"""What is wrong with a distillation is known from the recipe and from small files, with its line."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_estimate import SMOL
from test_recipe import written

from zoo import preflight
from zoo.errors import RecipeError
from zoo.estimate import logit_token_bytes, need, parameters
from zoo.plan import PlannedStage, plan
from zoo.preflight import BaseModel
from zoo.recipe import LoadedRecipe, load
from zoo.refs import HubRef
from zoo.schema import DataSpec, DistillSpec, LogitsSpec, SFTSpec

RECIPE = """name: small
summary: It learns from another.
license: apache-2.0
stages:
  rows: {kind: data, tasks: 10, agent: {rounds: 5, answer_tokens: 40}}
  others: {kind: data, tasks: 11}
  logits:
    kind: logits
    model: big/teacher
    data: stage:rows
    temperatures: [1.0, 2.0]
  taught:
    kind: distill
    model: small/student
    data: stage:rows
    logits: stage:logits
    temperature: 2.0
  corrected:
    kind: distill
    model: stage:taught
    data: stage:rows
    teacher: big/teacher
    lmbda: 1.0
    trl: {max_steps: 5}
"""
LAST = "lmbda: 1.0\n    trl: {max_steps: 5}"
BIG = {**SMOL, "hidden_size": 1152}


def loaded(folder: Path, text: str = RECIPE) -> tuple[LoadedRecipe, list[PlannedStage]]:
    recipe = load(written(folder, text))
    return recipe, plan(recipe.recipe, lambda ref, accepts: f"{ref}@0123")


def model(config: dict[str, Any], tokens: list[str]) -> BaseModel:
    file = {"model": {"vocab": {token: number for number, token in enumerate(tokens)}}, "added_tokens": []}
    files = {"tokenizer.json": json.dumps(file).encode()}
    return BaseModel({**config, "max_position_embeddings": 2048}, True, files.get)


def test_a_right_one_has_no_problem_and_rests_on_its_teacher(tmp_path: Path) -> None:
    _, stages = loaded(tmp_path)
    by_name = {stage.name: stage for stage in stages}
    assert by_name["taught"].upstream == ("rows", "logits")
    assert set(by_name["corrected"].inputs) == {"model", "data", "teacher"}
    bases = {name: preflight.base_of(stages, by_name[name]) for name in ("logits", "taught", "corrected")}
    student, teacher = HubRef("small/student"), HubRef("big/teacher")
    assert bases == {"logits": teacher, "taught": student, "corrected": student}
    assert preflight.teacher_of(stages, by_name["corrected"]) == teacher
    assert preflight.teacher_of(stages, by_name["taught"]) == teacher
    assert preflight.teacher_of(stages, stages[0]) is None


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("rows\n    logits", "others\n    logits", "small.yaml:16: taught.logits: stage:logits scored stage:rows, but"),
        (
            "temperature: 2.0",
            "temperature: 3.0",
            "yaml:17: taught.temperature is 3.0, stage:logits stores [1.0, 2.0]",
        ),
        ("logits: stage:logits", "logits: stage:rows", "taught.logits needs logits, stage rows makes rows"),
        (
            "{max_steps: 5}",
            "{packing: true}",
            "yaml:24: corrected.trl.packing: a distill stage has losses of its",
        ),
        ("{max_steps: 5}", "{max_step: 5}", "did you mean 'max_steps'"),
        (LAST, "gold: true\n    trl: {use_uld_loss: true}", "corrected.trl.use_uld_loss: the stage sets this itself"),
        (LAST, "gold: true\n    loss: jsd", "corrected: gold has one loss for all tokens"),
        (LAST, "lmbda: 2.0", "corrected.lmbda is 2.0"),
        (
            LAST,
            "lmbda: 1.0\n    rollouts: {source: world}\n    agent: {pictures: marks}",
            "yaml:25: corrected: pictures: marks, and what is learned from in the world is text alone",
        ),
        (LAST, "rollouts: {source: world}", "yaml:23: corrected.rollouts: with lmbda 0 the student never acts"),
        (LAST, "beta: 0.5", "yaml:23: corrected.beta is of loss: jsd, and the loss is forward"),
    ],
)
def test_a_wrong_one_is_refused_at_its_line(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert RECIPE.count(before) == 1
    with pytest.raises(RecipeError) as error:
        load(written(tmp_path, RECIPE.replace(before, after)))
    assert words in str(error.value)


def test_other_tokens_are_known_before_any_weights_are_there(tmp_path: Path) -> None:
    recipe, stages = loaded(tmp_path)
    letters = [chr(97 + number) for number in range(26)]
    models = {"small/student": model(SMOL, letters), "big/teacher": model(BIG, letters[::-1])}
    stored, beside = (str(one) for one in preflight.problems(recipe, stages, lambda ref: models[ref.repo]))
    assert stored.startswith("small.yaml:16: taught: big/teacher@main has another vocabulary: 26 of 26 numbers")
    assert beside.startswith("small.yaml:22: corrected: big/teacher@main has another") and "gold: true" in beside
    models["big/teacher"] = model(BIG, [*letters, "<pad>"])
    assert preflight.problems(recipe, stages, lambda ref: models[ref.repo]) == []
    models["big/teacher"] = BaseModel({**BIG, "max_position_embeddings": 2048}, True)
    assert preflight.problems(recipe, stages, lambda ref: models[ref.repo]) == [], "no file, nothing said"


def test_the_teacher_is_counted_beside_the_student(tmp_path: Path) -> None:
    _, stages = loaded(tmp_path)
    configs = {"small/student": SMOL, "big/teacher": BIG}
    needed = preflight.needs(stages, lambda ref: BaseModel(configs[ref.repo], True))
    alone = need(SFTSpec(model="a/b", data="stage:rows"), SMOL)
    assert alone is not None and needed["taught"] == alone
    assert needed["corrected"].memory_bytes - alone.memory_bytes == 2 * parameters(BIG)
    assert needed["logits"].memory_bytes == 2 * parameters(BIG)


def test_the_size_of_stored_logits_is_said_at_most(tmp_path: Path) -> None:
    _, stages = loaded(tmp_path)
    needed = preflight.needs(stages, lambda ref: BaseModel(SMOL, True))
    assert needed["logits"].disk_bytes == 10 * 5 * 40 * (64 * 6 + 2 * 4) == 2000 * logit_token_bytes(64, 2)
    stored = LogitsSpec(model="a/b", data="stage:rows", top_k=8)
    few = need(stored, SMOL, rows=DataSpec(limit=3))
    assert few is not None and few.disk_bytes == 3 * 256 * 52
    unknown = need(stored, SMOL, rows=DataSpec(source="dataset"))
    assert unknown is not None and unknown.disk_bytes == 0


def test_a_distillation_says_what_it_needs() -> None:
    spec = DistillSpec(model="a/b", data="stage:rows", teacher="a/c", lora={"r": 8})
    without, beside = need(spec, SMOL), need(spec, SMOL, teacher=BIG)
    assert without is not None and beside is not None and beside.disk_bytes == without.disk_bytes

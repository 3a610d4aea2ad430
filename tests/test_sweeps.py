"""Sweeps: what a merge with `sweep:` becomes, and which of its candidates is taken."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from zoo import probe, records, registry
from zoo.check.sweeping import MORE_IS_BETTER, OTHERS
from zoo.choose import PLOT_NAME, Candidate, best, run
from zoo.errors import GateError, RecipeError
from zoo.plan import plan
from zoo.recipe import LoadedRecipe, load
from zoo.records import Metric, StageContext, StageRecord
from zoo.schema import ChooseSpec, MergeSpec

RECIPE = """\
name: swept
summary: a merge with a sweep
license: apache-2.0
agent: {style: terse}
stages:
  demos: {kind: data}
  sft: {kind: sft, model: a/base@main, data: stage:demos}
  merged:
    kind: merge
    mergekit:
      merge_method: linear
      base_model: a/base@main
      dtype: float32
      models:
        - {model: stage:sft, parameters: {weight: 0.5}}
        - {model: a/base@main, parameters: {weight: 0.5}}
    sweep:
      values: [0.7, 1]
      set: {models.0.parameters.weight: value, models.1.parameters.weight: rest}
      general: {stage: {kind: evaluate, tasks: 5}, metric: valid_action_rate, of: a/base@main, keep: 0.9}
      specialist: {stage: {kind: evaluate, tasks: 6}, metric: success_rate, of: stage:sft, keep: 0.8}
  gguf: {kind: gguf, model: stage:merged}
"""


def loaded(folder: Path, text: str = RECIPE, overrides: tuple[str, ...] = ()) -> LoadedRecipe:
    file = folder / "swept.yaml"
    file.write_text(text)
    return load(file, overrides)


def test_a_sweep_becomes_a_merge_and_two_scores_a_value_two_whole_scores_and_the_choice(tmp_path: Path) -> None:
    stages = loaded(tmp_path).recipe.stages
    assert [name for name in stages if name.startswith("merged")] == [
        "merged-0p7", "merged-0p7-general", "merged-0p7-specialist",
        "merged-1", "merged-1-general", "merged-1-specialist",
        "merged-general", "merged-specialist", "merged",
    ]  # fmt: skip
    assert isinstance(stages["merged"], ChooseSpec)
    weights = [
        [model["parameters"]["weight"] for model in stage.mergekit["models"]]
        for stage in (stages["merged-0p7"], stages["merged-1"])
        if isinstance(stage, MergeSpec)
    ]
    assert weights == [[0.7, 0.3], [1, 0]]
    assert str(stages["merged-0p7-general"].model) == "stage:merged-0p7"  # type: ignore[attr-defined]
    assert str(stages["merged-specialist"].model) == "stage:sft"  # type: ignore[attr-defined]


def test_the_stages_of_a_sweep_take_the_recipes_agent_and_are_planned_before_what_reads_the_choice(
    tmp_path: Path,
) -> None:
    recipe = loaded(tmp_path).recipe
    assert recipe.stages["merged-1-specialist"].agent.style == "terse"  # type: ignore[attr-defined]
    names = [stage.name for stage in plan(recipe, lambda ref, accepts: f"{ref}@0123")]
    assert names.index("merged-1-specialist") < names.index("merged") < names.index("gguf")


def test_another_value_leaves_the_keys_of_the_others_as_they_were(tmp_path: Path) -> None:
    def keys(*overrides: str) -> dict[str, str | None]:
        recipe = loaded(tmp_path, overrides=overrides).recipe
        return {stage.name: stage.key for stage in plan(recipe, lambda ref, accepts: f"{ref}@0123")}

    before, after = keys(), keys("merged.sweep.values=[0.7, 0.9]")
    assert before["merged-0p7-general"] == after["merged-0p7-general"]
    assert before["merged"] != after["merged"]


@pytest.mark.parametrize(
    ("wrong", "instead", "line", "words"),
    [
        ("values: [0.7, 1]", "values: [0.7]", 18, "values"),
        ("values: [0.7, 1]", "values: [1, 1]", 17, "twice"),
        ("keep: 0.9", "kept: 0.9", 20, "keep"),
        ("tasks: 5", "task: 5", 20, "did you mean 'tasks'"),
        ("of: stage:sft", "of: stage:stf", 21, "there is no stage 'stf'"),
        ("metric: success_rate", "metric: sucess_rate", 21, "did you mean 'success_rate'?"),
        ("metric: valid_action_rate", "metric: error_rate", 20, "take success_rate or"),
        (
            "{kind: evaluate, tasks: 5}, metric: valid_action_rate",
            "{kind: probe}, metric: general_perplexity",
            20,
            "take accuracy",
        ),
    ],
)
def test_what_is_wrong_in_a_sweep_is_said_with_its_line(
    tmp_path: Path, wrong: str, instead: str, line: int, words: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        loaded(tmp_path, RECIPE.replace(wrong, instead))
    assert words in str(caught.value)
    assert f"swept.yaml:{line}" in str(caught.value)


def test_a_place_that_mergekit_does_not_have_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"swept\.yaml:19"):
        loaded(tmp_path, RECIPE.replace("models.1.parameters", "models.7.parameters"))


def candidate(value: float, general: float, specialist: float, kept: bool = True) -> Candidate:
    return Candidate(value, general, specialist, general, specialist, kept)


def test_the_best_keeps_both_and_is_best_at_what_is_preferred() -> None:
    rows = [candidate(0.3, 0.9, 0.5), candidate(0.6, 0.8, 0.7), candidate(0.9, 0.2, 0.9, kept=False)]
    assert best(rows, "specialist") == rows[1]
    assert best(rows, "general") == rows[0]
    assert best(rows[2:], "specialist") is None


def test_of_equals_the_one_that_is_better_at_the_other_is_taken() -> None:
    rows = [candidate(0.3, 0.6, 0.5), candidate(0.6, 0.8, 0.5)]
    assert best(rows, "specialist") == rows[1]


def scored(folder: Path, tiny: bool = False, **values: float) -> Path:
    folder.mkdir(parents=True)
    metrics = {name: Metric(value) for name, value in values.items()}
    empty: dict[str, Any] = {}
    record = StageRecord("s", "evaluate", 1, "k", empty, {}, 0, metrics, empty, {}, {}, empty, "", 1.0, 1, tiny)
    records.write(record, folder)
    return folder


def choice(tmp_path: Path, keep_general: float) -> tuple[ChooseSpec, StageContext]:
    inputs = {"general_whole": scored(tmp_path / "gw", top1=0.8), "specialist_whole": scored(tmp_path / "sw", won=0.5)}
    for index, (general, specialist) in enumerate([(0.8, 0.3), (0.6, 0.45)]):
        inputs[f"general.{index}"] = scored(tmp_path / f"g{index}", top1=general)
        inputs[f"specialist.{index}"] = scored(tmp_path / f"s{index}", won=specialist)
        inputs[f"candidates.{index}"] = scored(tmp_path / f"c{index}")
        (inputs[f"candidates.{index}"] / "model.safetensors").write_text(f"weights {index}")
    for name in ("out", "scratch"):
        (tmp_path / name).mkdir()
    spec = ChooseSpec(
        values=(0.5, 0.9), candidates=("stage:a", "stage:b"), general=("stage:c", "stage:d"),
        specialist=("stage:e", "stage:f"), general_whole="stage:g", specialist_whole="stage:h",
        general_metric="top1", specialist_metric="won", keep_general=keep_general, keep_specialist=0.5,
    )  # fmt: skip
    return spec, StageContext(tmp_path / "out", tmp_path / "scratch", inputs, 0, log=logging.getLogger("test"))


def test_the_chosen_merge_is_there_whole_with_a_table_and_a_plot(tmp_path: Path) -> None:
    spec, ctx = choice(tmp_path, keep_general=0.7)
    result = run(spec, ctx)
    assert (ctx.out / "model.safetensors").read_text() == "weights 1"
    assert not (ctx.out / records.RECORD_NAME).exists()
    assert (ctx.out / PLOT_NAME).read_text().startswith("<?xml")
    assert result.notes["chosen"] == 0.9
    assert [row["kept_general"] for row in result.notes["sweep"]] == pytest.approx([1.0, 0.75])
    assert result.metrics["specialist"].value == 0.45


def test_a_gate_that_no_merge_keeps_stops_the_run_with_the_table_and_the_plot(tmp_path: Path) -> None:
    spec, ctx = choice(tmp_path, keep_general=0.7)
    spec = spec.model_copy(update={"keep_specialist": 0.95})
    with pytest.raises(GateError, match=r"(?s)0\.5 .* 60%.*0\.9 .* 75%.*plot:"):
        run(spec, ctx)
    assert (ctx.scratch / PLOT_NAME).is_file()
    assert not list(ctx.out.iterdir())


def test_what_is_wrong_with_a_swept_merge_is_said_once_and_under_its_own_name(tmp_path: Path) -> None:
    wrong = RECIPE.replace("dtype: float32", "dtype: bfloat16").replace(
        "weight: 0.5}}\n    sweep", "wieght: 1}}\n    sweep"
    )
    with pytest.raises(RecipeError) as told:
        loaded(tmp_path, wrong.replace("values: [0.7, 1]", "values: [0.5, 0.7, 1]"))
    shown = [(problem.where, problem.what.partition(":")[0]) for problem in told.value.problems]
    assert shown == [
        ("swept.yaml:13", "merged.mergekit.dtype"),
        ("swept.yaml:16", "merged.mergekit.models.1.parameters.wieght"),
    ]


def test_a_score_of_every_candidate_is_wrong_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as told:
        loaded(tmp_path, RECIPE.replace("kind: evaluate, tasks: 5", "kind: evaluate, taks: 5"))
    assert [problem.what for problem in told.value.problems] == ["unknown key 'taks' in stages.merged-general"]


def with_a_whole_score_of_nothing(tmp_path: Path, *, tiny: bool) -> tuple[ChooseSpec, StageContext]:
    spec, ctx = choice(tmp_path, keep_general=0.7)
    nothing = {"specialist_whole": scored(tmp_path / "nothing", tiny, won=0.0)}
    return spec, replace(ctx, inputs={**ctx.inputs, **nothing})


def test_of_a_specialist_that_solves_nothing_there_is_nothing_to_keep(tmp_path: Path) -> None:
    spec, ctx = with_a_whole_score_of_nothing(tmp_path, tiny=False)
    with pytest.raises(GateError, match=r"nothing to keep: the specialist score \(won\) .* is 0"):
        run(spec, ctx)
    assert not list(ctx.out.iterdir())
    assert run(spec.model_copy(update={"keep_specialist": 0.0}), ctx).notes["chosen"] == 0.9


def test_a_tiny_twin_whose_models_know_nothing_still_chooses(tmp_path: Path) -> None:
    assert run(*with_a_whole_score_of_nothing(tmp_path, tiny=True)).notes["chosen"] == 0.9


TINY = """\
name: swept
summary: a sweep that runs
license: apache-2.0
agent: {style: terse, observation: terse, rounds: 1, answer_tokens: 8}
stages:
  base: {kind: tiny, architecture: llama}
  special: {kind: tiny, architecture: llama, seed: 1}
  merged:
    kind: merge
    mergekit:
      merge_method: linear
      base_model: stage:base
      dtype: float32
      models:
        - {model: stage:special, parameters: {weight: 0.5}}
        - {model: stage:base, parameters: {weight: 0.5}}
    sweep:
      values: [0.25, 0.75]
      set: {models.0.parameters.weight: value, models.1.parameters.weight: rest}
      general: {stage: {kind: probe, dtype: float32}, metric: accuracy, of: stage:base, keep: 0}
      specialist: {stage: {kind: evaluate, tasks: 2, dtype: float32}, metric: success_rate, of: stage:special, keep: 0}
"""


def test_a_sweep_runs_from_the_recipe_to_the_chosen_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `recipes run` does it, but in one process, which imports torch once; on a quarter of the general questions."""
    from zoo.cli.runs import run as run_command

    for kind, entry in list(registry.STAGES.items()):
        monkeypatch.setitem(registry.STAGES, kind, replace(entry, isolated=False))
    monkeypatch.setattr(probe, "questions", lambda made=probe.questions: made()[::4])
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path / "home"))
    (tmp_path / "swept.yaml").write_text(TINY)
    done = CliRunner().invoke(run_command, [str(tmp_path / "swept.yaml"), "--offline", "--no-push", "--json"])
    assert done.exit_code == 0, done.output
    made = [file.parent for file in tmp_path.glob(f"home/**/{records.RECORD_NAME}")]
    folders = {records.read(folder).name: folder for folder in made}
    assert len(folders) == 11
    chosen = records.read(folders["merged"])
    assert chosen.notes["chosen"] in (0.25, 0.75)
    label = "merged-0p25" if chosen.notes["chosen"] == 0.25 else "merged-0p75"
    candidate = folders[label] / "model.safetensors"
    assert (folders["merged"] / "model.safetensors").read_bytes() == candidate.read_bytes()
    other = {"merged-0p25": "merged-0p75", "merged-0p75": "merged-0p25"}[label]
    assert (folders[other] / "model.safetensors").read_bytes() != candidate.read_bytes()
    assert (folders["merged"] / PLOT_NAME).is_file()
    rows = {row["value"]: row for row in chosen.notes["sweep"]}
    for value, name in ((0.25, "merged-0p25"), (0.75, "merged-0p75")):
        assert rows[value]["general"] == records.read(folders[f"{name}-general"]).metrics["accuracy"].value
        assert rows[value]["specialist"] == records.read(folders[f"{name}-specialist"]).metrics["success_rate"].value
    for side, kind in (("general", "probe"), ("specialist", "evaluate")):
        measured = records.read(folders[f"merged-{side}"]).metrics.keys()
        assert (
            set(MORE_IS_BETTER[kind]) - {"reasonable_operations"} <= measured <= {*MORE_IS_BETTER[kind], *OTHERS[kind]}
        )

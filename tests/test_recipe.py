from pathlib import Path

import pytest

from zoo import shipped
from zoo.errors import RecipeError
from zoo.recipe import load
from zoo.refs import HubRef, StageRef
from zoo.schema import MergeSpec, SFTSpec

GOOD = """\
name: small
summary: A recipe for tests.
license: apache-2.0
stages:
  rows: {kind: data, tasks: 4}
  sft:
    kind: sft
    model: owner/base@v1
    data: stage:rows
    trl:
      learning_rate: 1e-4
"""


def written(folder: Path, text: str, name: str = "small.yaml") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def problems(folder: Path, text: str, *overrides: str, tiny: bool = False) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(written(folder, text), overrides, tiny=tiny)
    return [str(problem) for problem in caught.value.problems]


def test_a_recipe_is_typed_with_references_numbers_and_defaults(tmp_path: Path) -> None:
    recipe = load(written(tmp_path, GOOD)).recipe
    sft = recipe.stages["sft"]
    assert isinstance(sft, SFTSpec)
    assert sft.model == HubRef("owner/base", "v1")
    assert sft.data == StageRef("rows")
    assert sft.trl == {"learning_rate": 1e-4}
    assert sft.checkpoint_steps == 50


def test_a_path_that_is_no_checkpoint_is_refused_before_anything_loads(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    text = GOOD.replace("model: owner/base@v1", f"model: {file}")
    (found,) = problems(tmp_path, text)
    assert "small.yaml:8" in found
    assert "model.gguf is no checkpoint" in found
    acting = f"  acted: {{kind: data, source: agent, model: {file}}}\n"
    assert "acted" in load(written(tmp_path, GOOD + acting)).recipe.stages  # an exported file may act


def test_all_problems_are_reported_at_once_each_with_file_line_and_what_to_write(tmp_path: Path) -> None:
    text = GOOD.replace("tasks: 4", "taks: 4").replace("learning_rate", "learning_rat").replace("license", "licence")
    found = problems(tmp_path, text)
    assert any("small.yaml:3" in line and "'licence'" in line and "'license'" in line for line in found)
    assert any("small.yaml:5" in line and "'taks'" in line and "'tasks'" in line for line in found)
    # The options of libraries are checked when the keys of ours are right.
    found = problems(tmp_path, GOOD.replace("learning_rate", "learning_rat"))
    assert len(found) == 1
    assert "small.yaml:11" in found[0]
    assert "'learning_rate'" in found[0]


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ("tasks: 4", "tasks: many", "small.yaml:5", "many"),
        ("kind: sft", "kind: stf", "small.yaml:7", "did you mean 'sft'"),
        ("    kind: sft\n", "", "small.yaml:6", "no kind"),
        ("kind: sft", "kind: grpo\n    rewards: []", "small.yaml:8", "rewards has 0 entries"),
        ("stage:rows", "stage:row", "small.yaml:9", "did you mean 'rows'"),
        ("stage:rows", "stage:sft", "small.yaml:9", "reads itself"),
        ("model: owner/base@v1", "model: stage:rows", "small.yaml:8", "needs model, stage rows makes rows"),
        ("model: owner/base@v1", "model: base", "small.yaml:8", "owner/name@revision"),
        ("model: owner/base@v1", "model: ./nowhere", "small.yaml:8", "there is no"),
        ("learning_rate: 1e-4", "learning_rate: fast", "small.yaml:11", "fast"),
        ("learning_rate: 1e-4", "output_dir: x", "small.yaml:11", "output_dir"),
        ("name: small", "name: Small Recipe", "small.yaml:1", "Small Recipe"),
        ("{kind: data, tasks: 4}", "nothing", "small.yaml:5", "mapping"),
        ("    model: owner/base@v1\n", "", "small.yaml:6", "stages.sft.model is missing"),
        ("  sft:", "  Sft:", "small.yaml:6", "no name of a stage"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path: Path, old: str, new: str, where: str, said: str) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new))
    assert any(line.startswith(where) and said in line for line in found), found


def test_stages_that_wait_for_each_other_are_named(tmp_path: Path) -> None:
    text = GOOD + "  more: {kind: sft, model: 'stage:again', data: 'stage:rows'}\n"
    text += "  again: {kind: sft, model: 'stage:more', data: 'stage:rows'}\n"
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert "more, again" in found[0]


def test_two_stages_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "written twice" in problems(tmp_path, GOOD + "  sft: {kind: data}\n")[0]


def test_an_override_becomes_part_of_the_recipe_and_a_wrong_one_names_itself(tmp_path: Path) -> None:
    recipe = load(written(tmp_path, GOOD), ["sft.trl.learning_rate=2e-4", "seed=5", "stages.rows.tasks=9"]).recipe
    assert isinstance(recipe.stages["sft"], SFTSpec)
    assert recipe.stages["sft"].trl["learning_rate"] == 2e-4
    assert recipe.seed == 5
    assert recipe.stages["rows"].tasks == 9  # type: ignore[attr-defined]
    assert problems(tmp_path, GOOD, "stf.trl.x=1")[0].startswith("--set stf.trl.x=1: 'stf'")
    assert "--set sft.trl.learning_rat=1" in problems(tmp_path, GOOD, "sft.trl.learning_rat=1")[0]
    assert "--set key.inner=value" in problems(tmp_path, GOOD, "seed")[0]


def test_a_recipe_extends_another_and_its_lines_stay_apart(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    child = written(tmp_path, "extends: small.yaml\nname: child\nstages:\n  rows: {tasks: 7}\n", "child.yaml")
    loaded = load(child)
    assert loaded.recipe.name == "child"
    assert loaded.recipe.stages["rows"].tasks == 7  # type: ignore[attr-defined]
    assert isinstance(loaded.recipe.stages["sft"], SFTSpec)
    assert loaded.where("stages", "rows", "tasks").endswith("child.yaml:4")
    assert loaded.where("stages", "sft", "model").endswith("small.yaml:8")


def test_a_circle_of_extends_and_a_missing_parent_are_refused(tmp_path: Path) -> None:
    written(tmp_path, "extends: b.yaml\n", "a.yaml")
    written(tmp_path, "extends: a.yaml\n", "b.yaml")
    with pytest.raises(RecipeError, match="in turn"):
        load(tmp_path / "a.yaml")
    with pytest.raises(RecipeError, match=r"did you mean 'a\.yaml'"):
        load(written(tmp_path, "extends: aa.yaml\n", "c.yaml"))


def test_the_tiny_twin_replaces_every_model_of_a_hub_and_refuses_to_leave_one(tmp_path: Path) -> None:
    twin = GOOD + "tiny:\n  replace: {owner/base: llama}\n  set: {rows.tasks: 2}\n"
    loaded = load(written(tmp_path, twin), tiny=True)
    assert list(loaded.recipe.stages) == ["tiny-llama", "rows", "sft"]
    assert loaded.recipe.stages["sft"].model == StageRef("tiny-llama")  # type: ignore[attr-defined]
    assert loaded.recipe.stages["rows"].tasks == 2  # type: ignore[attr-defined]
    assert loaded.name == "small-tiny"
    assert "nothing stands in for owner/base" in problems(tmp_path, GOOD, tiny=True)[0]
    assert "small.yaml:14" in problems(tmp_path, twin.replace("rows.tasks", "rowz.tasks"), tiny=True)[0]


def test_a_verify_stage_speaks_of_types_that_are_exported(tmp_path: Path) -> None:
    text = GOOD + (
        "  gguf: {kind: gguf, model: 'stage:sft', types: [f16, q8_0]}\n"
        "  verify: {kind: verify, export: 'stage:gguf', against: 'stage:sft',"
        " gates: {f16: {mean_kl: 1e-5, top1: 0.9}, q4: {mean_kl: 1, top1: 0}}, optional: [q8]}\n"
    )
    found = problems(tmp_path, text)
    assert any("verify.gates names q4, but stage:gguf writes no q4" in line for line in found)
    assert any("verify.optional names q8" in line and "did you mean 'q8_0'" in line for line in found)


def test_a_verify_stage_speaks_of_variants_of_graphs(tmp_path: Path) -> None:
    text = GOOD + (
        "  graphs: {kind: onnx, model: 'stage:sft', variants: [fp32, int8]}\n"
        "  verify: {kind: verify, export: 'stage:graphs', against: 'stage:sft',"
        " gates: {int8: {mean_kl: 1, top1: 0}}, optional: [int9]}\n"
    )
    found = problems(tmp_path, text)
    assert len(found) == 1 and "did you mean 'int8'" in found[0]


def test_graphs_are_not_published_and_that_is_said_before_anything_runs(tmp_path: Path) -> None:
    text = GOOD + (
        "  graphs: {kind: onnx, model: 'stage:sft'}\n"
        "  publish: {kind: publish, repo: me/small, model: 'stage:sft', export: 'stage:graphs'}\n"
    )
    (found,) = problems(tmp_path, text)
    assert "publish.export: stage:graphs is of kind onnx, and here goes one of kind gguf" in found


def test_a_loss_of_success_needs_tasks(tmp_path: Path) -> None:
    text = GOOD + (
        "  gguf: {kind: gguf, model: 'stage:sft', types: [f16]}\n"
        "  verify: {kind: verify, export: 'stage:gguf', against: 'stage:sft',"
        " gates: {f16: {mean_kl: 1e-5, top1: 0.9, success_drop: 2}}}\n"
    )
    assert any("gates.f16.success_drop needs tasks" in line for line in problems(tmp_path, text))


def test_grpo_batches_that_do_not_divide_are_refused_before_anything_runs(tmp_path: Path) -> None:
    text = GOOD + (
        "  grpo: {kind: grpo, model: 'stage:sft', data: 'stage:rows',"
        " trl: {per_device_train_batch_size: 3, num_generations: 4}}\n"
    )
    assert any("num_generations" in line for line in problems(tmp_path, text))


def test_an_unknown_reward_gets_a_hint(tmp_path: Path) -> None:
    text = GOOD + "  g: {kind: grpo, model: 'stage:sft', data: 'stage:rows', rewards: [{name: formt}]}\n"
    assert any("did you mean 'format'" in line for line in problems(tmp_path, text))


def test_every_shipped_recipe_and_its_tiny_twin_are_right() -> None:
    files = sorted(shipped.folder("recipes").glob("*.yaml"))
    assert len(files) > 2
    for file in files:
        assert load(file).recipe.name == file.stem
        assert load(file, tiny=True).tiny


def test_the_models_that_mergekit_names_are_references(tmp_path: Path) -> None:
    recipe = load(shipped.folder("recipes") / "pocket-135m.yaml").recipe
    merged = recipe.stages["merged"]
    assert isinstance(merged, MergeSpec)
    assert merged.mergekit["models"][0]["model"] == "stage:sft"


def test_an_adapter_is_exported_only_of_a_stage_that_trains_one(tmp_path: Path) -> None:
    files = "  files: {kind: gguf, model: 'stage:sft', adapter: true}\n"
    (found,) = problems(tmp_path, GOOD + files)
    assert "small.yaml:12" in found and "stage:sft trains no adapter" in found
    load(written(tmp_path, GOOD + files), ["sft.lora={r: 8}"])


def test_calibration_rows_must_be_rows(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD + "  files: {kind: gguf, model: 'stage:sft', imatrix: {rows: 'stage:sft'}}\n")
    assert "files.imatrix.rows needs rows, stage sft makes model" in found

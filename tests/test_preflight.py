from collections import namedtuple
from pathlib import Path

import pytest
from test_estimate import SMOL
from test_recipe import GOOD, written

from zoo import preflight, registry
from zoo.errors import EnvironmentFailure, ZooError
from zoo.estimate import Need
from zoo.plan import PlannedStage, plan
from zoo.preflight import BaseModel
from zoo.recipe import LoadedRecipe, load
from zoo.refs import HubRef
from zoo.schema import Hardware, VerifySpec

TEXT = GOOD + "  gguf: {kind: gguf, model: 'stage:sft'}\n"
GOOD_CONFIG = {**SMOL, "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 2048}


def planned(folder: Path, text: str = TEXT) -> tuple[LoadedRecipe, list[PlannedStage]]:
    loaded = load(written(folder, text))
    return loaded, plan(loaded.recipe, lambda ref, accepts: "owner/base@0123")


def found(folder: Path, model: BaseModel | None, text: str = TEXT) -> list[str]:
    loaded, stages = planned(folder, text)
    return [str(problem) for problem in preflight.problems(loaded, stages, lambda ref: model)]


def test_a_stage_is_traced_to_the_model_that_it_was_made_of(tmp_path: Path) -> None:
    _, stages = planned(tmp_path)
    bases = {stage.name: preflight.base_of(stages, stage) for stage in stages}
    assert bases == {"rows": None, "sft": HubRef("owner/base", "v1"), "gguf": HubRef("owner/base", "v1")}


def test_a_fitting_base_has_no_problems_and_an_unreachable_one_is_not_judged(tmp_path: Path) -> None:
    assert found(tmp_path, BaseModel(GOOD_CONFIG, has_chat_template=True)) == []
    assert found(tmp_path, None) == []


def test_a_base_without_a_chat_template_is_refused_with_its_line(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, BaseModel(GOOD_CONFIG, has_chat_template=False))
    assert problem.startswith("small.yaml:8: sft: owner/base@v1 has no chat template")
    assert "instruct model" in problem


def test_rows_longer_than_the_base_allows_are_refused_with_what_to_write(tmp_path: Path) -> None:
    text = TEXT.replace("learning_rate: 1e-4", "max_length: 4096")
    (problem,) = found(tmp_path, BaseModel(GOOD_CONFIG, has_chat_template=True), text)
    assert problem.startswith("small.yaml:11: sft: rows of 4096 tokens") and "max_length: 2048" in problem


def test_an_architecture_that_cannot_be_exported_is_refused_before_training(tmp_path: Path) -> None:
    config = {**GOOD_CONFIG, "architectures": ["MambaForCausalLM"]}
    (problem,) = found(tmp_path, BaseModel(config, has_chat_template=True))
    assert "gguf: " in problem and "MambaForCausalLM" in problem and "LlamaForCausalLM" in problem


def test_needs_follow_from_the_config_and_too_little_memory_is_said(tmp_path: Path) -> None:
    _, stages = planned(tmp_path)
    needed = preflight.needs(stages, lambda ref: BaseModel(GOOD_CONFIG, has_chat_template=True))
    assert set(needed) == {"sft", "gguf"}
    small = Hardware(device="a small GPU", memory_gib=0.1)
    assert "a small GPU has 0.1 GiB" in str(preflight.memory_problem(small, "sft", needed["sft"]))
    assert preflight.memory_problem(Hardware(memory_gib=999), "sft", needed["sft"]) is None
    assert preflight.memory_problem(None, "sft", needed["sft"]) is None


def test_a_full_disk_is_known_before_anything_runs(tmp_path: Path) -> None:
    _, stages = planned(tmp_path)
    needed = {"sft": Need(0, 4 * 2**30)}
    preflight.check_disk(stages, needed, tmp_path, free=lambda folder: 5 * 2**30)
    with pytest.raises(EnvironmentFailure, match=r"needs about 4\.4 GiB of disk and 1\.0 GiB are free"):
        preflight.check_disk(stages, needed, tmp_path, free=lambda folder: 2**30)
    preflight.check_disk(stages, {}, tmp_path / "not" / "there" / "yet")


def test_a_missing_extra_is_known_before_anything_runs_and_named() -> None:
    stage = namedtuple("stage", "name kind")
    gone = registry.missing_modules(registry.STAGES["merge"], find=lambda module: None)
    assert gone == ("torch", "mergekit")
    with pytest.raises(
        EnvironmentFailure, match=r"stage merged \(merge\) needs torch, mergekit(.|\n)*edgezoo\[merge\]"
    ):
        preflight.check_extras([stage("merged", "merge")], find=lambda module: None)  # type: ignore[list-item]


def test_verifying_graphs_needs_what_opens_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = namedtuple("stage", "name kind spec")
    made = stage("graphs", "onnx", None)
    verify = stage("verify", "verify", VerifySpec(export="stage:graphs", against="stage:sft"))
    without = {"onnx", "onnxruntime", "onnxruntime_genai", "onnxscript", "onnx_ir"}

    def find(module: str) -> object | None:
        return None if module in without else object()

    preflight.check_extras([verify], find)  # type: ignore[list-item]
    with pytest.raises(EnvironmentFailure, match=r"stage verify \(verify of ONNX\) needs onnx, .*edgezoo\[onnx\]"):
        preflight.check_extras([verify], find, everything=[made, verify])  # type: ignore[list-item]


def test_an_agent_with_eyes_is_not_measured_on_a_base_that_reads_text_only(tmp_path: Path) -> None:
    text = GOOD + "  eval: {kind: evaluate, model: 'stage:sft', agent: {pictures: marks}}\n"
    (problem,) = found(tmp_path, BaseModel(GOOD_CONFIG, has_chat_template=True), text)
    assert "eval: the agent sees pictures (marks), but owner/base@v1 reads text only" in problem
    seeing = BaseModel({**GOOD_CONFIG, "vision_config": {}}, has_chat_template=True)
    assert found(tmp_path, seeing, text) == []


def test_a_stage_that_was_left_out_and_is_not_there_is_said_before_anything_runs(tmp_path: Path) -> None:
    _, stages = planned(tmp_path)
    reader = next(stage for stage in stages if stage.upstream)
    with pytest.raises(ZooError, match=f"stage {reader.name} reads stage {reader.upstream[0]}.*--until"):
        preflight.check_left_out([reader], [reader.name], [])
    preflight.check_left_out([reader], [reader.name], reader.upstream)
    preflight.check_left_out([reader], [reader.name, *reader.upstream], [])

"""What files cost is measured in processes of their own, is resumed file by file, and has the names that cards read."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from exported_onnx import OnnxExport

from zoo.cards.exported import Exports
from zoo.errors import ExportError, RecipeError
from zoo.exports.gguf import convert
from zoo.latency import agent_chats, run
from zoo.recipe import load
from zoo.records import StageContext, StageRecord, StageResult
from zoo.schema import AgentSpec, LatencySpec

SMALL: dict[str, Any] = {
    "repeats": 3, "warm_up": 1, "prompt_tokens": 40, "answer_tokens": 6, "steps": 4, "threads": 1,
    "agent": AgentSpec(style="terse", observation="terse", answer_tokens=12),
}  # fmt: skip
NAMES = {
    "load_seconds", "first_token_seconds", "prefill_tokens_per_second", "decode_tokens_per_second", "step_seconds",
    "peak_memory_bytes", "threads",
}  # fmt: skip


def context(folder: Path, export: Path, **inputs: Path) -> StageContext:
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    (folder / "out").mkdir(exist_ok=True)
    return StageContext(folder / "out", folder / "scratch", {"export": export, **inputs}, seed=0)


@pytest.fixture(scope="module")
def ggufs(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    for type_ in ("f16", "q8_0"):
        convert(tiny_llama, folder / f"model-{type_.upper()}.gguf", type_)
    return folder


@pytest.fixture(scope="module")
def measured(ggufs: Path, tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StageResult]:
    folder = tmp_path_factory.mktemp("latency")
    spec = LatencySpec(export="stage:gguf", model="stage:sft", lookup=True, **SMALL)
    return folder, run(spec, context(folder, ggufs, model=tiny_llama))


def test_every_file_and_the_checkpoint_have_every_figure(measured: tuple[Path, StageResult]) -> None:
    _, result = measured
    assert set(result.metrics) == {f"{type_}.{name}" for type_ in ("f16", "q8_0", "torch") for name in NAMES}
    assert all(metric.value > 0 for metric in result.metrics.values())
    assert result.metrics["f16.first_token_seconds"].n == 3 and result.metrics["f16.step_seconds"].n == 4
    assert result.metrics["q8_0.threads"].value == 1
    rows = result.notes["rows"]
    assert [row["type"] for row in rows] == ["f16", "q8_0", "torch"]
    assert [row["runtime"] for row in rows] == ["llama.cpp", "llama.cpp", "torch"]
    for row in rows:
        assert row["step_seconds_p10"] <= row["step_seconds"] <= row["step_seconds_p90"]
        assert row["step_computed_tokens"] < row["step_prompt_tokens"], "what steps share is computed once"
        assert not any(isinstance(value, dict | list) for value in row.values())
    assert {"machine", "versions", "prompt_tokens", "answer_tokens"} <= result.notes.keys()
    assert json.loads(json.dumps(result.notes)) == result.notes


def test_memory_is_that_of_each_file_alone(measured: tuple[Path, StageResult]) -> None:
    """torch takes hundreds of megabytes before it holds a model; llama.cpp's process must not have loaded it."""
    metrics = measured[1].metrics
    assert metrics["f16.peak_memory_bytes"].value < metrics["torch.peak_memory_bytes"].value / 1.5


def test_a_stage_that_was_killed_measures_only_what_is_left(
    measured: tuple[Path, StageResult], ggufs: Path, tiny_llama: Path
) -> None:
    folder, result = measured
    left = {file.name: file.stat().st_mtime_ns for file in (folder / "scratch").glob("*.json")}
    assert {"f16.json", "q8_0.json", "torch.json"} <= left.keys()
    (folder / "scratch/q8_0.json").unlink()
    spec = LatencySpec(export="stage:gguf", model="stage:sft", lookup=True, **SMALL)
    again = run(spec, context(folder, ggufs, model=tiny_llama))
    made = {name for name, at in left.items() if (folder / "scratch" / name).stat().st_mtime_ns != at}
    assert made == {"q8_0.json"}
    assert again.metrics["f16.load_seconds"] == result.metrics["f16.load_seconds"]


def test_graphs_are_called_by_their_runtime_and_threads_are_measured(onnx_export: OnnxExport, tmp_path: Path) -> None:
    spec = LatencySpec(export="stage:onnx", types=("int8", "genai-int8"), **{**SMALL, "threads": None, "steps": 0})
    result = run(spec, context(tmp_path, onnx_export.folder))
    assert {name.split(".")[0] for name in result.metrics} == {"onnx-int8", "genai-int8"}
    assert not any(name.endswith("step_seconds") for name in result.metrics)
    assert result.metrics["genai-int8.threads"].value >= 1
    assert json.loads((tmp_path / "scratch/onnx-int8.threads.json").read_text())["tokens_per_second"]["1"] > 0


def test_a_file_that_does_not_load_is_one_clear_error_and_is_tried_again(ggufs: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(ggufs, tmp_path / "export")
    (broken / "model-Q8_0.gguf").write_bytes((broken / "model-Q8_0.gguf").read_bytes()[:9999])
    spec = LatencySpec(export="stage:gguf", types=("q8_0",), **SMALL)
    with pytest.raises(ExportError, match=r"model-Q8_0\.gguf"):
        run(spec, context(tmp_path, broken))
    assert not (tmp_path / "scratch/q8_0.json").exists()
    with pytest.raises(ExportError, match="names q4_0, but the export has f16, q8_0"):
        run(LatencySpec(export="stage:gguf", types=("q4_0",), **SMALL), context(tmp_path, ggufs))
    with pytest.raises(ExportError, match="to measure; export one first"):
        run(LatencySpec(export="stage:gguf", **SMALL), context(tmp_path, tmp_path / "scratch"))


def test_a_card_reads_the_figures(measured: tuple[Path, StageResult], ggufs: Path) -> None:
    _, result = measured
    files = {file.name: {"sha256": "", "bytes": file.stat().st_size} for file in ggufs.iterdir()}

    def record(kind: str, metrics: Any, files: Any) -> StageRecord:
        return StageRecord(kind, kind, 1, "", {}, {}, 0, metrics, {}, files, {}, {}, "", 1.0, 1)

    export, costs = record("gguf", {}, files), record("latency", result.metrics, {})
    told = Exports("GGUF", "owner/name-GGUF", export, {name: name for name in files}, latency=costs).files
    assert len(told) == 2
    for file in told:
        assert file.decode and file.prefill and file.memory_bytes and file.first_token_seconds
        assert file.step_seconds and file.load_seconds and file.threads


def test_the_steps_are_consecutive_ones_of_held_out_tasks() -> None:
    chats = agent_chats(LatencySpec(export="stage:gguf", **{**SMALL, "steps": 9}), seed=1)
    assert len(chats) == 9
    instructions = [chat[1]["content"].splitlines()[0] for chat in chats]
    assert len(set(instructions)) < 9 and instructions[0] == instructions[1]


def test_a_type_that_is_not_exported_is_said_before_anything_runs(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: one\nsummary: s\nlicense: apache-2.0\nstages:\n"
        f"  gguf: {{kind: gguf, model: {tmp_path}/model, types: [f16]}}\n"
        "  latency:\n    kind: latency\n    export: stage:gguf\n    types: [q8_0]\n",
        "utf-8",
    )
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}", "utf-8")
    with pytest.raises(
        RecipeError, match=r"recipe\.yaml:\d+: latency\.types names q8_0, but stage:gguf writes no q8_0"
    ):
        load(recipe)

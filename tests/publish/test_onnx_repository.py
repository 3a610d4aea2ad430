"""`owner/name-ONNX`: real graphs of a tiny model, laid out, pushed, fetched back, verified and made to answer."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import example_records as example
import exported_onnx
import pytest
from exported_onnx import OnnxExport
from huggingface_hub import ModelCard
from publications import SPEC, context_of, names, push

from zoo import publish
from zoo.cards import checking
from zoo.cli import main
from zoo.cli.models import open_model, resolve_model
from zoo.errors import GateError, ModelError
from zoo.hub import Endpoint
from zoo.local_hub import running
from zoo.records import Metric, StageContext, StageRecord
from zoo.refs import StageRef
from zoo.schema import PublishSpec

# Without fp16, which is traced by itself and teaches nothing more here.
VARIANTS = ("fp32", "int8", "int4", "genai-int8")
REPOSITORY = "zoo/pocket-135m-ONNX"
ONNX_SPEC = SPEC.model_copy(update={"onnx": StageRef("graphs"), "onnx_verify": StageRef("verify-graphs")})


def record_of(export: OnnxExport) -> StageRecord:
    files = {
        str(file.relative_to(export.folder)): {"sha256": "ab" * 32, "bytes": file.stat().st_size}
        for file in export.folder.rglob("*")
        if file.is_file()
    }
    return example.record("graphs", "onnx", {"model": "stage:key-of-grpo"}, {}, files=files)


def verified(*failed: str) -> StageRecord:
    found = [example.verified(variant, passed=variant not in failed) for variant in VARIANTS]
    withheld = {"onnx/model_q4.onnx": ["top1 is 0.61, below 0.85"]} if "int4" in failed else {}
    metrics = {"int8.top1": Metric(0.9712, n=3_211), "int8.mean_kl": Metric(0.0043, "nats")}
    return example.record(
        "verify-graphs",
        "verify",
        {"export": "stage:key-of-graphs"},
        metrics,
        notes={"files": found, "withheld": withheld},
    )


def published(place: Path, export: OnnxExport, *failed: str) -> StageContext:
    context = context_of(place, export.checkpoint)
    lineage = {**context.lineage, "graphs": record_of(export), "verify-graphs": verified(*failed)}
    inputs = {**context.inputs, "onnx": export.folder, "onnx_verify": context.inputs["verify"]}
    return replace(context, lineage=lineage, inputs=inputs)


@pytest.fixture(scope="module")
def onnx_export(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> OnnxExport:
    """The variants, and the checkpoint that they were made of. Only read."""
    return exported_onnx.make(tiny_llama, tmp_path_factory.mktemp("graphs"), VARIANTS)


@pytest.fixture(scope="module")
def laid_out(onnx_export: OnnxExport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole publication. Only read."""
    context = published(tmp_path_factory.mktemp("publication"), onnx_export)
    publish.run(ONNX_SPEC, context)
    return context.out


@pytest.fixture
def pushed(laid_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """The embedded Hub of this machine, which has it."""
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    with running(tmp_path / "home" / "hub") as endpoint:
        push(laid_out, endpoint)
        yield endpoint


def test_it_has_the_layout_that_hub_users_expect(laid_out: Path, onnx_export: OnnxExport) -> None:
    found = names(laid_out / "ONNX")
    assert {
        "onnx/model.onnx",
        "onnx/model_quantized.onnx",
        "onnx/model_q4.onnx",
        "genai/cpu-int8/model.onnx",
        "genai/cpu-int8/genai_config.json",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "README.md",
        "verify.json",
        "records/graphs.json",
    } <= found
    assert "stage.json" not in found
    assert not any(name.endswith((".safetensors", ".gguf")) for name in found)
    graph = "onnx/model_quantized.onnx"
    assert (laid_out / "ONNX" / graph).samefile(onnx_export.folder / graph)


def test_its_card_says_what_it_was_quantized_from_and_how_each_runtime_opens_it(laid_out: Path) -> None:
    text = (laid_out / "ONNX" / "README.md").read_text()
    card = ModelCard(text)
    assert checking.problems(text, "model") == []
    assert (card.data.base_model, card.data.base_model_relation) == ("zoo/pocket-135m", "quantized")
    for line in (
        f'pipeline("text-generation", "{REPOSITORY}", {{ dtype: "q4" }})',
        f'ORTModelForCausalLM.from_pretrained("{REPOSITORY}", subfolder="onnx", file_name="model_q4.onnx")',
        f'snapshot_download("{REPOSITORY}", allow_patterns="genai/cpu-int8/*")',
        f"recipes verify {REPOSITORY} --file int4 --against zoo/pocket-135m",
    ):
        assert line in text
    assert re.search(r"`onnx/model_quantized.onnx` .*97\.1 %", text)
    assert "\n\n\n" not in text
    model = (laid_out / "model" / "README.md").read_text()
    assert f"Exported to `{REPOSITORY}`." in model
    assert "### GGUF" in model
    assert "### ONNX" in model
    assert f'[["{REPOSITORY}"]]' in model


def test_bytes_of_a_graph_count_the_weights_beside_it(onnx_export: OnnxExport) -> None:
    data = example.data()
    graphs = record_of(onnx_export)
    beside = {**graphs.files, "onnx/model.onnx_data": {"sha256": "ab" * 32, "bytes": 10**9}}
    exports = publish.exports.Exports("ONNX", REPOSITORY, replace(graphs, files=beside), {"onnx/model.onnx": "x"})
    [file] = exports.files
    assert file.bytes == 10**9 + graphs.files["onnx/model.onnx"]["bytes"]
    assert data.onnx is None


def test_a_variant_that_fell_short_stays_at_home_and_the_card_says_so(onnx_export: OnnxExport, tmp_path: Path) -> None:
    context = published(tmp_path, onnx_export, "int4")
    publish.run(ONNX_SPEC, context)
    assert "onnx/model_q4.onnx" not in names(context.out / "ONNX")
    said = (context.out / "ONNX" / "README.md").read_text()
    assert "`onnx/model_q4.onnx` fell short of its gate and is not published: top1 is 0.61" in said


def test_an_export_of_which_nothing_may_be_published_stops_the_run(onnx_export: OnnxExport, tmp_path: Path) -> None:
    context = published(tmp_path, onnx_export)
    everything = {name: ["short"] for name in names(onnx_export.folder) if name.endswith(".onnx")}
    record = replace(context.lineage["verify-graphs"], notes={"files": [], "withheld": everything})
    with pytest.raises(GateError, match=r"publish\.onnx: every file of stage:graphs fell short"):
        publish.run(ONNX_SPEC, replace(context, lineage={**context.lineage, "verify-graphs": record}))


def test_a_graph_is_fetched_back_by_its_type_with_nothing_that_it_does_not_need(pushed: Endpoint) -> None:
    graph = resolve_model(REPOSITORY, "int8", offline=True)
    fetched = names(graph.parent.parent)
    assert graph.name == "model_quantized.onnx"
    assert {"onnx/model_quantized.onnx", "tokenizer.json"} <= fetched
    assert not {"onnx/model.onnx", "onnx/model_q4.onnx", "genai/cpu-int8/model.onnx"} & fetched
    runtime = open_model(graph, threads=1)
    [answer] = runtime.generate([[{"role": "user", "content": "hi"}]], 4)
    runtime.close()
    assert 0 < answer.tokens <= 4


def test_a_genai_folder_is_fetched_back_whole_and_answers(pushed: Endpoint) -> None:
    graph = resolve_model(REPOSITORY, "genai-int8", offline=True)
    assert (graph.parent / "genai_config.json").is_file()
    runtime = open_model(graph, threads=1)
    [answer] = runtime.generate([[{"role": "user", "content": "hi"}]], 4)
    runtime.close()
    assert 0 < answer.tokens <= 4


def test_a_repository_of_several_files_asks_which_one_is_meant(pushed: Endpoint) -> None:
    with pytest.raises(ModelError, match=r"holds several files; name one with --file"):
        main_result(["verify", REPOSITORY, "--against", "zoo/pocket-135m", "--offline"])


def main_result(arguments: list[str]) -> int:
    """The exit code of a command; an error that a user can mend is raised instead of printed."""
    from zoo.cli import command

    return int(command(arguments, standalone_mode=False) or 0)


def test_the_published_graph_is_verified_from_the_hub_alone(
    pushed: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--prompts", "1", "--texts", "1", "--actions", "0", "--offline", "--json"]
    with pytest.raises(SystemExit) as ended:
        main(["verify", REPOSITORY, "--file", "fp32", "--against", "zoo/pocket-135m", *quick])
    found = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0, found
    assert [row["file"] for row in found["files"]] == ["onnx/model.onnx"]


def test_the_python_lines_of_the_card_run_against_the_hub(pushed: Endpoint, laid_out: Path, tmp_path: Path) -> None:
    from zoo.local_hub import client_environment

    card = (laid_out / "ONNX" / "README.md").read_text()
    # optimum needs transformers 4; `make optimum-compat` runs it in an environment of its own.
    blocks = [code for code in re.findall(r"```python\n(.+?)```", card, re.DOTALL) if "optimum" not in code]
    assert len(blocks) == 2
    environment = {**os.environ, **client_environment(pushed), "HF_HOME": str(tmp_path / "another")}
    for code in blocks:
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_the_index_of_the_zoo_names_the_graphs_too(laid_out: Path) -> None:
    from zoo import index

    entry = index.read_entry((laid_out / "model" / "records" / "zoo.entry.json").read_text())
    assert index.chosen((entry,), "pocket-135m:model_q4") == (REPOSITORY, "onnx/model_q4.onnx")
    assert entry.recommended == "Pocket-135M-Q8_0.gguf"


def test_the_repositories_of_a_publication_are_known_before_it_runs() -> None:
    spec = PublishSpec.model_validate({"repo": "me/small", "model": "stage:sft", "onnx": "stage:graphs"})
    assert publish.repositories(spec) == {"model": "me/small", "ONNX": "me/small-ONNX"}

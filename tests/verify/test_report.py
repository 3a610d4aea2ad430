"""The stage's whole outcome: an optional file that falls short, a base to compare towers with, a picture."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import gguf
import pytest
import sabotage

from zoo.errors import GateError, ModelError
from zoo.formats import gguf_header
from zoo.records import StageContext, StageResult
from zoo.schema import AgentSpec, Gate, VerifySpec
from zoo.serving import open_gguf, open_torch
from zoo.verify import run
from zoo.verify.gguf_structure import checks
from zoo.verify.plot import draw
from zoo.verify.texts import TOPICS, digest, general_texts

AGENT = AgentSpec(style="terse", answer_tokens=8, rounds=2)
IMPOSSIBLE = Gate(mean_kl=1e-12, top1=1.0)
# A random model is undecided everywhere: a few hundred positions are too few for the default's 99.8 %.
LOOSE = {"f16": Gate(mean_kl=1e-4, top1=0.98), "q8_0": Gate(mean_kl=0.1, top1=0.8, perplexity_ratio=1.1)}


def verify(
    export: Path, against: Path, work: Path, inputs: dict[str, Path] | None = None, **changes: Any
) -> StageResult:
    for name in ("out", "scratch"):
        (work / name).mkdir()
    spec = {"export": "stage:gguf", "against": "stage:grpo", "prompts": 2, "texts": 1, "actions": 1, "agent": AGENT}
    places = {"export": export, "against": against, **(inputs or {})}
    return run(VerifySpec(**spec | changes), StageContext(work / "out", work / "scratch", places, seed=5))


def test_the_notes_say_which_files_passed_and_against_what(lively: Path, lively_files: Path, tmp_path: Path) -> None:
    result = verify(lively_files, lively, tmp_path, gates=LOOSE, tasks=2)
    assert result.notes["passed"] == ["model-F16.gguf", "model-Q8_0.gguf"] and result.notes["withheld"] == {}
    gate = result.notes["files"][0]["gate"]
    assert (gate["mean_kl"], gate["perplexity_ratio"]) == (1e-4, 1.001), "what the recipe leaves open is the default"
    assert result.metrics["f16.general.top1"].value > 0.99
    assert result.metrics["q8_0.success_rate"].n == 2 and result.metrics["q8_0.success_drop"].value == 0
    assert result.metrics["f16.valid_action_rate"].value == result.metrics["f16.checkpoint.valid_action_rate"].value
    assert "curves" not in result.notes["files"][0]
    report = json.loads((tmp_path / "out" / "verify.json").read_text("utf-8"))
    assert (
        sum(one["n"] for one in report["files"][0]["curves"]["general"]) == report["files"][0]["general"]["positions"]
    )
    assert report["steps"]["texts_digest"] == digest(general_texts(1))


def test_an_optional_file_that_falls_short_is_withheld_and_the_run_goes_on(
    lively: Path, lively_files: Path, tmp_path: Path
) -> None:
    result = verify(lively_files, lively, tmp_path, gates={**LOOSE, "q8_0": IMPOSSIBLE}, optional=["q8_0"])
    assert result.notes["passed"] == ["model-F16.gguf"]
    assert "at most 1e-12 is allowed" in "\n".join(result.notes["withheld"]["model-Q8_0.gguf"])
    assert [row["optional"] for row in result.notes["files"]] == [False, True]


def test_a_file_that_must_pass_is_not_excused_by_another(lively: Path, lively_files: Path, tmp_path: Path) -> None:
    gates = {"q8_0": IMPOSSIBLE, "f16": IMPOSSIBLE}
    with pytest.raises(GateError) as caught:
        verify(lively_files, lively, tmp_path, gates=gates, optional=["q8_0"])
    assert "model-F16.gguf" in str(caught.value) and "model-Q8_0.gguf" not in str(caught.value)


def test_an_optional_type_that_is_not_exported_is_a_mistake(lively: Path, lively_files: Path, tmp_path: Path) -> None:
    with pytest.raises(GateError, match="optional names q4_0"):
        verify(lively_files, lively, tmp_path, optional=["q4_0"])


def test_with_the_base_the_report_says_what_training_changed(
    tiny_llama: Path, lively: Path, lively_files: Path, tmp_path: Path
) -> None:
    result = verify(lively_files, lively, tmp_path, {"base": tiny_llama}, gates=LOOSE, base="a/b")
    assert result.notes["towers"]["language"]["changed"] == 14
    assert result.notes["towers"]["language"]["tensors"] == 20


def test_a_foreign_vision_file_fails_the_run(lively: Path, lively_files: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    for file in lively_files.glob("*F16.gguf"):
        (export / file.name).symlink_to(file)
    (export / "mmproj-model.gguf").symlink_to(lively_files / "model-F16.gguf")
    with pytest.raises(GateError, match="no vision tower"):
        verify(export, lively, tmp_path)


def test_a_checkpoint_of_numbers_that_are_none_is_named(lively: Path, lively_files: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    broken.mkdir()
    for file in lively.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"model\.norm\.weight holds NaN or infinity"):
        verify(lively_files, broken, tmp_path)


def test_a_file_whose_template_is_broken_does_not_hide_what_else_is_wrong(
    lively: Path, lively_files: Path, tmp_path: Path
) -> None:
    export = tmp_path / "export"
    export.mkdir()
    change = {"tokenizer.chat_template": lambda _: "{% for m in messages %}{{ m.content }"}
    sabotage.rewrite(lively_files / "model-F16.gguf", export / "model-F16.gguf", change)
    with pytest.raises(GateError) as caught:
        verify(export, lively, tmp_path)
    for check in ("chat template:", "chat prompts: the chat template does not take this chat", "rendered prompts:"):
        assert check in str(caught.value)


@pytest.mark.parametrize("name", ["blk.0.attn_q.weight", "output_norm.weight"])
def test_a_tensor_that_was_quantized_further_than_the_rest_is_named(
    lively: Path, lively_files: Path, tmp_path: Path, name: str
) -> None:
    coarse = gguf.GGMLQuantizationType.Q4_0
    sabotage.rewrite(lively_files / "model-Q8_0.gguf", tmp_path / "damaged.gguf", retyped={name: coarse})
    with open_torch(lively) as reference, open_gguf(lively_files / "model-Q8_0.gguf", 1, 64) as whole:
        whole.header = gguf_header.read(tmp_path / "damaged.gguf")  # llama.cpp itself may refuse such a norm
        found = {check.name: check for check in checks(reference, whole)}
    assert found["tensor types"].passed is False
    assert found["tensor types"].detail == f"1 tensors are coarser than q8_0; first {name} is Q4_0"


def test_the_picture_shows_every_file_and_is_the_same_every_time(
    lively: Path, lively_files: Path, tmp_path: Path
) -> None:
    verify(lively_files, lively, tmp_path, gates=LOOSE)
    picture = (tmp_path / "out" / "verify.svg").read_text("utf-8")
    texts = {element.text for element in ElementTree.fromstring(picture).iter() if element.text}
    assert {"f16", "q8_0", "f16, general", "q8_0, steps", "position, tokens"} <= texts
    rows = json.loads((tmp_path / "out" / "verify.json").read_text("utf-8"))["files"]
    draw(rows, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text("utf-8") == picture
    draw([{**row, "curves": {}} for row in rows], tmp_path / "nothing.svg")
    assert not (tmp_path / "nothing.svg").exists()


def test_general_text_is_long_enough_and_fixed() -> None:
    texts = general_texts(len(TOPICS))
    assert len(set(texts)) == 16 and all(len(text) > 2500 for text in texts)
    with pytest.raises(ValueError, match="there are 16 passages"):
        general_texts(17)

"""`recipes verify` and `recipes serve`: a verdict, its exit code, and one clear message for each bad input."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lively_model
import pytest
import sabotage
from exported_onnx import OnnxExport

from zoo.cli import main
from zoo.exports.gguf import convert

# A random model is undecided everywhere, and a few hundred positions are too few for the 99.8 % of f32.
QUICK = ("--prompts", "1", "--texts", "1", "--actions", "1", "--threads", "1", "--type", "q8_0")


@pytest.fixture(scope="session")
def lively(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint. Only read."""
    return lively_model.make(tiny_llama, tmp_path_factory.mktemp("lively") / "model")


@pytest.fixture(scope="session")
def file(lively: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export in float32. Only read."""
    target = tmp_path_factory.mktemp("export") / "some-name.gguf"
    convert(lively, target, "f32")
    return target


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path / "home"))


def recipes(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def copy(checkpoint: Path, folder: Path) -> Path:
    shutil.copytree(checkpoint, folder)
    return folder


def test_a_sound_file_passes_with_a_table_a_report_and_a_picture(
    file: Path, lively: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = recipes("verify", str(file), "--against", str(lively), *QUICK, "--out", str(tmp_path / "out"))
    said = capsys.readouterr().out
    assert code == 0, said
    for words in ("some-name.gguf", "rendered prompts", "on the phone", "on general text", "gate of q8_0", "PASS"):
        assert words in said
    assert json.loads((tmp_path / "out" / "verify.json").read_text("utf-8"))["passed"]
    assert (tmp_path / "out" / "verify.svg").stat().st_size > 1000


def test_a_file_that_falls_short_says_by_how_much_and_what_to_try(
    file: Path, lively: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sabotage.rewrite(file, tmp_path / "damaged.gguf", {"llama.rope.freq_base": lambda _: 500.0})
    assert recipes("verify", str(tmp_path / "damaged.gguf"), "--against", str(lively), *QUICK, "--type", "f32") == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "FALLS SHORT network settings: llama.rope.freq_base is 500.0" in said
    assert "mean_kl is" in said and "try: export again from this checkpoint's config.json" in said


def test_a_graph_is_verified_like_a_file(
    onnx_export: OnnxExport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    against = ("--against", str(onnx_export.checkpoint), "--prompts", "1", "--texts", "1", "--actions", "1", "--json")
    assert recipes("verify", str(onnx_export.folder / "onnx/model.onnx"), *against) == 0
    (row,) = json.loads(capsys.readouterr().out)["files"]
    assert (row["file"], row["type"], row["gate"]["mean_kl"]) == ("onnx/model.onnx", "fp32", 1e-8)
    assert recipes("verify", str(onnx_export.folder), "--file", "fp32", *against) == 0
    assert [one["type"] for one in json.loads(capsys.readouterr().out)["files"]] == ["fp32"]
    assert recipes("verify", str(onnx_export.folder), "--file", "int9", *against) == 1
    assert "no graph like 'int9'; there is onnx/model.onnx" in capsys.readouterr().err


def test_machines_get_one_line(file: Path, lively: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recipes("verify", str(file), "--against", str(lively), *QUICK, "--type", "q4_k_m", "--json") == 0
    printed = capsys.readouterr()
    data = json.loads(printed.out)
    assert data["passed"] and data["files"][0]["gate"]["mean_kl"] == 0.1 and data["threads"] == 1
    assert "PASS" in printed.err


def test_a_model_of_an_unknown_architecture_is_compared_by_what_it_computes(
    file: Path, lively: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.formats import architectures

    monkeypatch.delitem(architectures.ARCHITECTURES, "LlamaForCausalLM")
    assert recipes("verify", str(file), "--against", str(lively), *QUICK) == 0
    assert "not run: LlamaForCausalLM is not known tensor by tensor" in " ".join(capsys.readouterr().out.split())


def test_a_base_model_without_a_chat_template_is_compared_on_general_text(
    lively: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = copy(lively, tmp_path / "base")
    (base / "chat_template.jinja").unlink()
    convert(base, tmp_path / "base.gguf", "f32")
    assert recipes("verify", str(tmp_path / "base.gguf"), "--against", str(base), *QUICK) == 0
    said = capsys.readouterr().out
    assert "not run: the checkpoint has no chat template" in said
    assert "on general text" in said and "on the phone" not in said


def truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def foreign(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"PK\x03\x04 not at all what it says" * 20)


def without_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def broken_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for message in messages %}{{ message.content }", "utf-8")


def adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}', "utf-8")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncated, "cannot be loaded"),
        (foreign, "cannot be loaded"),
        (without_tokenizer, "tokenizer"),
        (broken_template, "the chat template does not take this chat"),
        (adapter, "is an adapter of owner/base, not a model; merge it"),
    ],
)
def test_a_bad_checkpoint_is_one_clear_message(
    file: Path, lively: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any, said: str
) -> None:
    broken = copy(lively, tmp_path / "broken")
    damage(broken)
    assert recipes("verify", str(file), "--against", str(broken), *QUICK) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


@pytest.mark.parametrize(
    ("named", "against", "said"),
    [
        ("./missing.gguf", "model", "no such file or folder"),
        ("model", "model", "no .gguf file; there is none at all"),
        ("file", "file", "is a file; a checkpoint is a folder"),
    ],
)
def test_what_is_not_there_is_said(
    file: Path, lively: Path, capsys: pytest.CaptureFixture[str], named: str, against: str, said: str
) -> None:
    places = {"model": str(lively), "file": str(file)}
    assert recipes("verify", places.get(named, named), "--against", places[against], *QUICK) == 1
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_file_that_is_cut_short_falls_short(file: Path, lively: Path, tmp_path: Path) -> None:
    (tmp_path / "short.gguf").write_bytes(file.read_bytes()[:-1000])
    assert recipes("verify", str(tmp_path / "short.gguf"), "--against", str(lively), *QUICK) == 3


@contextmanager
def full_disk() -> Iterator[None]:
    """Files can grow to 1 KB and no further, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_report_that_cannot_be_written_is_one_clear_message(tmp_path: Path) -> None:
    from rich.console import Console

    from zoo.cli.verify import _write
    from zoo.errors import EnvironmentFailure

    (tmp_path / "a-file").write_text("x", "utf-8")
    with pytest.raises(EnvironmentFailure, match="the report cannot be written"):
        _write(Console(stderr=True), {"files": []}, tmp_path / "a-file" / "out")
    with full_disk(), pytest.raises(EnvironmentFailure, match="the report cannot be written: File too large"):
        _write(Console(stderr=True), {"files": [], "long": "x" * 5000}, tmp_path / "out")
    assert not (tmp_path / "out" / "verify.json").exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_serve_says_where_it_listens_and_ends_in_order(kind: str, file: Path, lively: Path) -> None:
    httpx = pytest.importorskip("httpx")
    target = str(file if kind == "file" else lively)
    code = "from zoo.cli import main; main()"
    arguments = [sys.executable, "-c", code, "serve", target, "--port", "0", "--threads", "1", "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            told = json.loads(process.stdout.readline())
            body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
            answer = httpx.post(f"{told['url']}/chat/completions", json=body, timeout=60).json()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert answer["usage"]["completion_tokens"] == 4
    assert told["runtime"] == ("llama.cpp" if kind == "file" else "torch") and told["resident_bytes"] > 10**7

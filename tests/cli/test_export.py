"""`recipes export`: one export alone, whole or not at all."""

import json
import resource
import shutil
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from training_rows import phone_row, write_rows

from zoo.cli import main
from zoo.formats import gguf_header
from zoo.serving import open_gguf, open_onnx

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path / "home"))


def export(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["export", *arguments])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_a_folder_becomes_files_named_by_the_convention(capsys: Captured, tiny_llama: Path, tmp_path: Path) -> None:
    out = tmp_path / "files"
    code, text, _ = export(
        capsys, str(tiny_llama), "--type", "q8_0", "--type", "q4_k_m", "--name", "my-agent-1m", "--out", str(out)
    )
    assert code == 0
    assert sorted(file.name for file in out.iterdir()) == ["My-Agent-1M-Q4_K_M.gguf", "My-Agent-1M-Q8_0.gguf"]
    assert "bits a weight" in text and "Q5_0" in text  # what a q4_k_m of such narrow rows really holds
    assert gguf_header.read(out / "My-Agent-1M-Q8_0.gguf").metadata["general.name"] == "my-agent-1m"
    with open_gguf(out / "My-Agent-1M-Q4_K_M.gguf", threads=1, context=64) as runtime:
        assert runtime.logits([5, 6]).shape == (2, 675)


def test_graphs_keep_their_places_and_nothing_that_was_made_on_the_way(
    capsys: Captured, tiny_llama: Path, tmp_path: Path
) -> None:
    out = tmp_path / "graphs"
    code, text, _ = export(capsys, str(tiny_llama), "--format", "onnx", "--type", "int8", "--out", str(out))
    assert code == 0 and "int8: " in text and "nodes" in text
    assert sorted(file.relative_to(out).as_posix() for file in out.rglob("*.onnx*")) == ["onnx/model_quantized.onnx"]
    assert (out / "tokenizer.json").is_file() and not [file for file in out.iterdir() if file.name.startswith(".")]
    with open_onnx(out / "onnx/model_quantized.onnx", threads=1) as runtime:
        assert runtime.logits([5, 6]).shape == (2, 675)
    code, _, err = export(capsys, str(tiny_llama), "--format", "onnx", "--type", "int9", "--out", str(out))
    assert code == 2 and "did you mean 'int8'" in err


def test_json_is_one_line_with_every_file(capsys: Captured, tiny_vlm: Path, tmp_path: Path) -> None:
    code, text, _ = export(capsys, str(tiny_vlm), "--type", "f16", "--name", "eyes", "--out", str(tmp_path), "--json")
    assert code == 0
    told = json.loads(text)
    assert [Path(file["path"]).name for file in told["files"]] == ["mmproj-Eyes-F16.gguf", "Eyes-F16.gguf"]
    assert all(Path(file["path"]).stat().st_size == file["bytes"] for file in told["files"])
    assert told["notes"]["mmproj"]["max_image_tokens"] == 64


def test_any_setting_of_the_stage_can_be_set(capsys: Captured, tiny_llama: Path, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows", [phone_row(number) for number in range(8)])
    code, text, _ = export(
        capsys, str(tiny_llama), "--type", "q4_0", "--out", str(tmp_path / "out"), "--json",
        "--set", f"imatrix.rows={rows}", "--set", "imatrix.count=4", "--set", "tensors={'*.ffn_down.weight': q8_0}",
        "--set", "license=mit",
    )  # fmt: skip
    assert code == 0
    (row,) = json.loads(text)["notes"]["files"]
    assert row["imatrix"]["rows"] == 4
    assert row["tensor_types"] == {"F32": 5, "Q4_0": 12, "Q8_0": 3}
    (file,) = (tmp_path / "out").iterdir()
    assert gguf_header.read(file).metadata["general.license"] == "mit"


def test_the_licence_of_a_checkpoints_card_is_kept(capsys: Captured, tiny_llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Card\n")
    assert export(capsys, str(folder), "--type", "f16", "--out", str(tmp_path / "out"))[0] == 0
    (file,) = (tmp_path / "out").iterdir()
    assert gguf_header.read(file).metadata["general.license"] == "apache-2.0"


def test_what_is_mistyped_is_said_before_anything_is_written(
    capsys: Captured, tiny_llama: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, _, err = export(capsys, str(tiny_llama), "--type", "q4_km", "--out", str(out))
    assert code == 2 and "did you mean 'q4_k_m'" in err
    code, _, err = export(capsys, str(tiny_llama), "--set", "shard_byte=1", "--out", str(out))
    assert code == 2 and "did you mean 'shard_bytes'" in err
    code, _, err = export(capsys, str(tiny_llama), "--set", "tensors={'blk.*.ffn_dwn.weight': q8_0}", "--out", str(out))
    assert code == 1 and "'blk.*.ffn_down.weight'" in err
    code, _, err = export(capsys, str(tmp_path / "absent"), "--out", str(out))
    assert code == 1 and "no such" in err
    code, _, err = export(capsys, "stage:sft", "--out", str(out))
    assert code == 2 and "name its folder" in err
    code, _, err = export(capsys, "owner/none", "--offline", "--out", str(out))
    assert code == 1 and "owner/none" in err
    assert not out.exists()


def test_a_broken_checkpoint_leaves_earlier_files_and_nothing_else(
    capsys: Captured, tiny_llama: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(tiny_llama, folder)
    assert export(capsys, str(folder), "--type", "f16", "--out", str(out))[0] == 0
    before = (out / "Model-F16.gguf").read_bytes()
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] *= float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    code, _, err = export(capsys, str(folder), "--type", "f16", "--type", "q8_0", "--out", str(out))
    assert code == 1 and "NaN" in err
    assert [file.name for file in out.iterdir()] == ["Model-F16.gguf"]
    assert (out / "Model-F16.gguf").read_bytes() == before


def test_a_disk_that_is_full_is_one_clear_error_and_nothing_half_written(
    capsys: Captured, tiny_llama: Path, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        code, _, err = export(capsys, str(tiny_llama), "--type", "f32", "--out", str(tmp_path / "out"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert code == 1 and "cannot be written" in err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_one_clear_error(capsys: Captured, tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = export(capsys, str(tiny_llama), "--out", str(tmp_path / "file" / "out"))
    assert code == 1 and "cannot be written to" in err

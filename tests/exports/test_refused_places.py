"""A full disk and a read-only folder are one clear message each, and nothing half written is left behind."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx_ir
import pytest
import refusing_disk
from exported_onnx import OnnxExport

from zoo.errors import ExportError
from zoo.exports import grammar
from zoo.exports.gguf import convert, vision
from zoo.exports.onnx import convert as convert_graph
from zoo.exports.onnx import layout
from zoo.formats import onnx_files
from zoo.schema import AgentSpec

_ROOM = 20_000


@pytest.fixture
def open_place(tiny_llama: Path) -> Iterator[Path]:
    """A folder that everybody may enter, with a checkpoint and an empty folder in it; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shutil.copytree(tiny_llama, place / "model")
        (place / "out").mkdir()
        for folder in (place, place / "model"):
            folder.chmod(0o755)
        for file in (place / "model").iterdir():
            file.chmod(0o644)
        yield place


def test_a_disk_that_fills_while_a_file_is_written_leaves_the_earlier_one(tiny_llama: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    convert(tiny_llama, file, "q8_0")
    before = file.read_bytes()
    assert len(before) > _ROOM
    refused = pytest.raises(ExportError, match=r"model\.gguf: cannot be written: the disk did not take all")
    with refusing_disk.full_after(_ROOM), refused:
        convert(tiny_llama, file, "f16")
    assert file.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == ["model.gguf"]


def test_a_full_disk_leaves_no_half_of_a_split_model_or_a_tower(tiny_vlm: Path, tmp_path: Path) -> None:
    with refusing_disk.full_after(_ROOM), pytest.raises(ExportError, match="cannot be written"):
        vision.convert(tiny_vlm, tmp_path / "mmproj.gguf", "f16")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_of_a_graph(onnx_export: OnnxExport, tmp_path: Path) -> None:
    graph = tmp_path / onnx_files.FILES["fp32"]
    model = onnx_ir.load(onnx_export.folder / onnx_files.FILES["fp32"])
    for inline in (0, layout.INLINE_BYTES):
        with refusing_disk.full_after(_ROOM), pytest.raises(ExportError, match="cannot be written"):
            layout.save(model, graph, inline)
        assert list(graph.parent.iterdir()) == []


def test_a_full_disk_leaves_the_descriptions_of_an_export_as_they_were(onnx_export: OnnxExport, tmp_path: Path) -> None:
    export = shutil.copytree(onnx_export.folder, tmp_path / "export", ignore=shutil.ignore_patterns("genai"))
    before = {file: file.read_bytes() for file in sorted(export.rglob("*")) if file.is_file()}
    with refusing_disk.full_after(500), pytest.raises(OSError, match="too large"):
        layout.write_descriptions(onnx_export.checkpoint, export)
    assert {file: file.read_bytes() for file in sorted(export.rglob("*")) if file.is_file()} == before


def test_a_read_only_folder_is_one_clear_message(open_place: Path) -> None:
    model, out = open_place / "model", open_place / "out"
    convert(model, open_place / "first.gguf", "q8_0")  # what is imported on the way may not be everybody's to read
    with refusing_disk.read_only(out):
        with pytest.raises(ExportError, match=r"model\.gguf: cannot be written: .*Permission denied"):
            convert(model, out / "model.gguf", "q8_0")
        with pytest.raises(ExportError, match=r"model\.onnx: cannot be written: .*Permission denied"):
            convert_graph(model, out, "genai-int8")
        with pytest.raises(ExportError, match=r"grammar of actions cannot be written: .*Permission denied"):
            grammar.write(out, AgentSpec())
    assert list(out.iterdir()) == []

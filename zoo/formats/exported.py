"""Exported files by their names: which lie in a folder, of which type each is, what it is called, how large it is."""

from pathlib import Path

from zoo.formats import gguf_names, onnx_files

__all__ = ["exported", "label", "size"]


def exported(folder: Path) -> dict[Path, str]:
    """File -> type, of every exported file in a folder: `model-Q8_0.gguf` is `q8_0`, `onnx/model.onnx` is `fp32`. Of a
    split model, its first file."""
    ggufs = {file: gguf_names.type_of(file.name) for file in gguf_names.first_files(folder)}
    return ggufs | {graph: variant for variant, graph in onnx_files.find(folder).items()}


def label(file: Path) -> str:
    """What a file is called in reports: `model-Q8_0.gguf`, `onnx/model.onnx`."""
    return onnx_files.label(file) if file.suffix == ".onnx" else file.name


def size(file: Path) -> int:
    """Bytes, with those of the weights that lie beside a graph, and of all files of a split model that are there."""
    if file.suffix == ".onnx":
        return onnx_files.size(file)
    return sum(part.stat().st_size for part in gguf_names.shards(file) if part.is_file())

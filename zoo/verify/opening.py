"""Exported files by their form: which there are, what each is called, how it is opened, what is asked of it.

The form decides the runtime: `.gguf` is llama.cpp's, `.onnx` is ONNX Runtime's, and one beside a `genai_config.json` is
ONNX Runtime GenAI's.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.errors import ExportError
from zoo.formats import gguf_header, gguf_names, onnx_files
from zoo.serving import Chat, GenaiRuntime, LlamaRuntime, OnnxRuntime, TorchRuntime, open_genai, open_gguf, open_onnx
from zoo.verify import gates, onnx_structure, structure
from zoo.verify.structure import Check
from zoo.verify.templates import rendered_alike

__all__ = [
    "Opened",
    "exported",
    "file_checks",
    "label",
    "open_file",
    "size",
    "structural_checks",
    "type_of",
    "weighed",
]

Opened = LlamaRuntime | OnnxRuntime | GenaiRuntime

_RENDERED = 2
"""Held-out prompts that are rendered by three engines; llama.cpp's server is asked for each."""


def exported(folder: Path) -> dict[Path, str]:
    """File -> type, of every exported file in a folder: `model-Q8_0.gguf` is `q8_0`, `onnx/model.onnx` is `fp32`. Of a
    split model, its first file."""
    ggufs = {file: gguf_names.type_of(file.name) for file in gguf_names.first_files(folder)}
    return ggufs | {graph: variant for variant, graph in onnx_files.find(folder).items()}


def type_of(file: Path) -> str:
    """The type of a file of any name, by what it says of itself or, for a graph, by where it lies; `unknown` for one
    that says nothing or cannot be read: that it does not load is found later, with why."""
    if file.suffix == ".onnx":
        return onnx_files.variant_of(file) or "unknown"
    try:
        return gates.type_of(gguf_header.read(file))
    except ExportError:
        return "unknown"


def label(file: Path) -> str:
    """What a file is called in reports: `model-Q8_0.gguf`, `onnx/model.onnx`."""
    return onnx_files.label(file) if file.suffix == ".onnx" else file.name


def size(file: Path) -> int:
    """Bytes, with those of the weights that lie beside a graph, and of all files of a split model that are there."""
    if file.suffix == ".onnx":
        return onnx_files.size(file)
    return sum(part.stat().st_size for part in gguf_names.shards(file) if part.is_file())


def open_file(file: Path, context: int, threads: int | None = None) -> Opened:
    """Open a file in its own runtime. `context` is the most tokens of prompt and answer; a plain graph has no limit.

    Raises ExportError when it does not load.
    """
    if file.suffix != ".onnx":
        return open_gguf(file, threads, context)
    return open_genai(file.parent, threads, context) if onnx_files.is_genai(file) else open_onnx(file, threads)


def weighed(file: Path, opened: Opened) -> str:
    """What a file that opened weighs, in words."""
    if isinstance(opened, LlamaRuntime):
        return f"{opened.weights_bytes / 2**20:.0f} MiB of weights, {opened.header.bits_per_weight:.2f} bits each"
    return f"{size(file) / 2**20:.0f} MiB with its weights"


def file_checks(file: Path) -> Iterator[Check]:
    """What can be said of a file without opening it, and so of one that does not open."""
    if file.suffix == ".onnx":
        yield onnx_structure.data_present(file)


def structural_checks(reference: TorchRuntime, opened: Opened, chats: Sequence[Chat] = ()) -> Iterator[Check]:
    """Every check that names a cause, for a file that opened."""
    if isinstance(opened, LlamaRuntime):
        yield from structure.checks(reference, opened, chats)
        yield rendered_alike(reference, opened.file, chats[:_RENDERED])
    else:
        yield from onnx_structure.checks(reference, opened, chats)

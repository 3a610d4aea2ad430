"""Exported files by their form: which there are, what each is called, what is asked of it; `zoo.serving` opens them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.errors import ExportError
from zoo.formats import gguf_header, onnx_files
from zoo.formats.exported import exported, label, size
from zoo.serving import Chat, LlamaRuntime, TorchRuntime
from zoo.serving import Exported as Opened
from zoo.verify import gates, gguf_structure, onnx_structure
from zoo.verify.check import Check
from zoo.verify.templates import rendered_alike

__all__ = [
    "Opened",
    "exported",
    "file_checks",
    "label",
    "size",
    "structural_checks",
    "type_of",
    "weighed",
]

_RENDERED = 2
"""Held-out prompts that are rendered by three engines; llama.cpp's server is asked for each."""


def type_of(file: Path) -> str:
    """The type of a file of any name, by what it says of itself or, for a graph, by where it lies; `unknown` for one
    that says nothing or cannot be read: that it does not load is found later, with why."""
    if file.suffix == ".onnx":
        return onnx_files.variant_of(file) or "unknown"
    try:
        return gates.type_of(gguf_header.read(file))
    except ExportError:
        return "unknown"


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
        yield from gguf_structure.checks(reference, opened, chats)
        yield rendered_alike(reference, opened.file, chats[:_RENDERED])
    else:
        yield from onnx_structure.checks(reference, opened, chats)

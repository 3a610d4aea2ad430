"""Exported files by their form: which there are, what each is called, how it is opened, what is asked of it.

The form decides the runtime: `.gguf` is llama.cpp's, `.onnx` is ONNX Runtime's, and one beside a `genai_config.json` is
ONNX Runtime GenAI's.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.formats import onnx_files
from zoo.schema import Gate
from zoo.serving import Chat, GenaiRuntime, LlamaRuntime, OnnxRuntime, TorchRuntime, open_genai, open_gguf, open_onnx
from zoo.verify import onnx_structure, structure
from zoo.verify.structure import Check

__all__ = ["GATES", "Opened", "exported", "file_checks", "label", "open_file", "size", "structural_checks"]

Opened = LlamaRuntime | OnnxRuntime | GenaiRuntime

_EIGHT_BITS = Gate(mean_kl=1e-2, top1=0.95)
_FOUR_BITS = Gate(mean_kl=0.1, top1=0.85)
GATES = {
    "fp32": Gate(mean_kl=1e-8, top1=0.999),
    "fp16": Gate(mean_kl=1e-4, top1=0.995),
    "int8": _EIGHT_BITS,
    "genai-int8": _EIGHT_BITS,
    "int4": _FOUR_BITS,
    "genai-int4": _FOUR_BITS,
}
"""What an ONNX variant is held to when the recipe says nothing: measured on SmolLM2-135M at 1.4e-11 nats (fp32), 8e-6
(fp16), 5e-3 (8 bits) and above 0.1 (4 bits, which so small a model does not keep)."""


def exported(folder: Path) -> dict[Path, str]:
    """File -> type, of every exported file in a folder: `model-Q8_0.gguf` is `q8_0`, `onnx/model.onnx` is `fp32`."""
    ggufs = {file: file.stem.removeprefix("model-").lower() for file in sorted(folder.glob("model-*.gguf"))}
    return ggufs | {graph: variant for variant, graph in onnx_files.find(folder).items()}


def label(file: Path) -> str:
    """What a file is called in reports: `model-Q8_0.gguf`, `onnx/model.onnx`."""
    return onnx_files.label(file) if file.suffix == ".onnx" else file.name


def size(file: Path) -> int:
    """Bytes, with those of the weights that lie beside a graph."""
    return onnx_files.size(file) if file.suffix == ".onnx" else file.stat().st_size


def open_file(file: Path, context: int, threads: int | None = None) -> Opened:
    """Open a file in its own runtime. `context` is the most tokens of prompt and answer; a plain graph has no limit.

    Raises ExportError when it does not load.
    """
    if file.suffix != ".onnx":
        return open_gguf(file, threads, context)
    return open_genai(file.parent, threads, context) if onnx_files.is_genai(file) else open_onnx(file, threads)


def file_checks(file: Path) -> Iterator[Check]:
    """What can be said of a file without opening it, and so of one that does not open."""
    if file.suffix == ".onnx":
        yield onnx_structure.data_present(file)


def structural_checks(reference: TorchRuntime, opened: Opened, chats: Sequence[Chat] = ()) -> Iterator[Check]:
    """Every check that names a cause, for a file that opened."""
    if isinstance(opened, LlamaRuntime):
        yield from structure.checks(reference, opened, chats)
    else:
        yield from onnx_structure.checks(reference, opened, chats)

"""The one opener: whatever lies somewhere, in the runtime that its form asks for.

A `.gguf` file is llama.cpp's, an `.onnx` graph is ONNX Runtime's, one beside a `genai_config.json` is ONNX Runtime
GenAI's, and a folder with `config.json` and safetensors is a checkpoint, torch's.
"""

from pathlib import Path
from typing import Literal

from zoo.errors import ModelError
from zoo.formats import gguf_names, onnx_files
from zoo.serving.genai_runtime import GenaiRuntime, open_genai
from zoo.serving.llama_runtime import LlamaRuntime, open_gguf
from zoo.serving.onnx_runtime import OnnxRuntime, open_onnx
from zoo.serving.threads import ThreadSweep, sweep
from zoo.serving.torch_runtime import TorchRuntime, open_torch

__all__ = ["AnyRuntime", "Exported", "fastest_threads", "open_export", "open_model"]

Exported = LlamaRuntime | OnnxRuntime | GenaiRuntime
AnyRuntime = TorchRuntime | Exported

_SWEEP_CONTEXT = 128


def open_model(
    source: Path,
    *,
    threads: int | None = None,
    context: int = 4096,
    device: str = "cpu",
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    reuse: bool = True,
    lookup: bool = False,
) -> AnyRuntime:
    """Load a file or a folder.

    `threads`: None for as many as the file says or `default_threads`. `context`: the most tokens of prompt and answer
    together, where a cache is reserved. `device` and `dtype` are a checkpoint's. `reuse` and `lookup`: see
    `zoo.serving.stepwise`.

    Raises ModelError for what is none of the four forms or several files at once, ExportError or ModelError when it
    does not load, EnvironmentFailure when its runtime is not installed.
    """
    runtime: AnyRuntime
    found = _only(source) if source.is_dir() else source
    if found.is_dir():
        runtime = open_torch(found, device, dtype)
        if threads is not None:
            runtime.use_threads(threads)
    elif found.suffix in (".gguf", ".onnx"):
        runtime = open_export(found, threads, context)
    else:
        raise ModelError(f"{source}: neither a .gguf file, an .onnx graph nor a folder with a checkpoint")
    runtime.reuse, runtime.lookup = reuse, lookup
    return runtime


def open_export(file: Path, threads: int | None = None, context: int = 4096) -> Exported:
    """Load an exported file. Raises ExportError when it does not load."""
    if file.suffix != ".onnx":
        return open_gguf(file, threads, context)
    return open_genai(file.parent, threads, context) if onnx_files.is_genai(file) else open_onnx(file, threads)


def fastest_threads(source: Path, most: int | None = None) -> ThreadSweep:
    """Open a model, and see `zoo.serving.threads.sweep`. Raises what `open_model` raises."""
    with open_model(source, threads=1, context=_SWEEP_CONTEXT) as runtime:
        return sweep(runtime, most)


def _only(folder: Path) -> Path:
    """The one model in a folder: the folder itself where it is a checkpoint."""
    if onnx_files.is_genai(folder / "model.onnx"):
        return folder / "model.onnx"
    if any(folder.glob("*.safetensors")):
        return folder
    models = [file for file in sorted(folder.glob("*.gguf")) if not file.name.startswith(("mmproj", "adapter"))]
    first = [file for file in models if gguf_names.shards(file)[0] == file]
    found = [*first, *onnx_files.find(folder).values(), *folder.glob("*.onnx")]
    if len(found) > 1:
        raise ModelError(f"{folder} holds {', '.join(file.name for file in found)}; name one of them")
    return found[0] if found else folder

"""One opener, one `generate()`, `stream()`, `logits()` and prompt path over torch, llama.cpp, ONNX Runtime and GenAI.

Importing this imports none of the four; opening a model does.
"""

from zoo.serving.genai_runtime import GenaiRuntime, open_genai
from zoo.serving.llama_runtime import LlamaRuntime, open_gguf
from zoo.serving.onnx_runtime import OnnxRuntime, open_onnx
from zoo.serving.opening import AnyRuntime, Exported, fastest_threads, open_export, open_model
from zoo.serving.runtime import Chat, Description, Generation, Memory, Runtime, Token
from zoo.serving.sampling import Noise
from zoo.serving.threads import ThreadSweep
from zoo.serving.torch_runtime import TorchRuntime, open_torch

__all__ = [
    "AnyRuntime",
    "Chat",
    "Description",
    "Exported",
    "GenaiRuntime",
    "Generation",
    "LlamaRuntime",
    "Memory",
    "Noise",
    "OnnxRuntime",
    "Runtime",
    "ThreadSweep",
    "Token",
    "TorchRuntime",
    "fastest_threads",
    "open_export",
    "open_genai",
    "open_gguf",
    "open_model",
    "open_onnx",
    "open_torch",
]

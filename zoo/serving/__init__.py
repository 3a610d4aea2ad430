"""One `generate()`, one `logits()` and one tokenizer-true prompt path over torch, llama.cpp, ONNX Runtime and GenAI.

Importing this imports none of the four; opening a model does.
"""

from zoo.serving.genai_runtime import GenaiRuntime, open_genai
from zoo.serving.llama_runtime import LlamaRuntime, open_gguf
from zoo.serving.onnx_runtime import OnnxRuntime, open_onnx
from zoo.serving.runtime import Chat, Generation, Runtime, Token
from zoo.serving.sampling import Noise
from zoo.serving.threads import ThreadSweep, fastest_threads
from zoo.serving.torch_runtime import TorchRuntime, open_torch

__all__ = [
    "Chat",
    "GenaiRuntime",
    "Generation",
    "LlamaRuntime",
    "Noise",
    "OnnxRuntime",
    "Runtime",
    "ThreadSweep",
    "Token",
    "TorchRuntime",
    "fastest_threads",
    "open_genai",
    "open_gguf",
    "open_onnx",
    "open_torch",
]

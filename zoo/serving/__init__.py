"""One `generate()`, one `logits()` and one tokenizer-true prompt path over transformers and llama.cpp.

Importing this imports neither torch nor llama.cpp; opening a model does.
"""

from zoo.serving.llama_runtime import LlamaRuntime, open_gguf
from zoo.serving.runtime import Chat, Generation, Runtime, Token
from zoo.serving.threads import ThreadSweep, fastest_threads
from zoo.serving.torch_runtime import TorchRuntime, open_torch

__all__ = [
    "Chat",
    "Generation",
    "LlamaRuntime",
    "Runtime",
    "ThreadSweep",
    "Token",
    "TorchRuntime",
    "fastest_threads",
    "open_gguf",
    "open_torch",
]

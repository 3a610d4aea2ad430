"""What llama.cpp wants to be told of each architecture: the one table, with its sources.

A wrong entry gives a file that loads and talks nonsense, so every row is compared with llama.cpp's own converter (the
`conversion/` folder of llama.cpp, named per row) and with torch by `zoo.verify`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from zoo.errors import ExportError
from zoo.formats.weights import StoredTensor

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "LanguageTensor",
    "language_name",
    "language_tensor",
    "language_tensors",
    "matrices",
    "of",
    "text_config",
]


@dataclass(frozen=True)
class Architecture:
    """One architecture, by the name that its `config.json` carries."""

    gguf: str
    """Its name in GGUF; the prefix of its metadata."""
    interleaved_rotary: bool
    """Whether llama.cpp rotates neighbouring rows of the query and key weights, where transformers rotates row i with
    row i + half a head. The rows are then reordered; their number per head does not change."""
    multimodal: bool
    """Whether the language model lies in a larger model: its settings under `text_config`, a vision tower beside it.
    The tower is not part of the file; llama.cpp reads it from a file of its own (`mmproj`)."""
    source: str
    """The class of llama.cpp's converter that this row was checked against."""
    norms_less_one: bool = False
    """Whether transformers multiplies with one more than the norms that are stored; llama.cpp with what is stored."""


ARCHITECTURES: dict[str, Architecture] = {
    "LlamaForCausalLM": Architecture("llama", True, False, "conversion/llama.py: LlamaModel"),
    "Qwen2ForCausalLM": Architecture("qwen2", False, False, "conversion/qwen.py: Qwen2Model"),
    "Qwen3ForCausalLM": Architecture("qwen3", False, False, "conversion/qwen.py: Qwen3Model"),
    # Every fourth layer has no rotary positions, in llama.cpp's code as in the config; its rows are reordered all the
    # same, as the converter does: queries and keys meet in a sum over the rows of a head, whatever their order.
    "SmolLM3ForCausalLM": Architecture("smollm3", True, False, "conversion/llama.py: SmolLM3Model"),
    "Gemma3ForCausalLM": Architecture("gemma3", False, False, "conversion/gemma.py: Gemma3Model", norms_less_one=True),
    # The llama.cpp of the pinned wheel reads no norm epsilon for qwen2vl and computes with 0: harmless at 1e-6, and the
    # reason why a tiny random model with 1e-5 and small activations is off by some 1e-6 nats even in f32.
    "Qwen2_5_VLForConditionalGeneration": Architecture(
        "qwen2vl", False, True, "conversion/qwenvl.py: Qwen2VLModel; rotary sections in base.py: TextModel"
    ),
}


def of(config: Mapping[str, Any]) -> Architecture:
    """The row of a `config.json`. Raises ExportError when there is none, with the list of those that are known."""
    names = config.get("architectures") or ["none named"]
    if names[0] not in ARCHITECTURES:
        raise ExportError(
            f"no GGUF export for the architecture {names[0]}; known: {', '.join(sorted(ARCHITECTURES))}. "
            "A new one is a row in zoo/formats/architectures.py"
        )
    return ARCHITECTURES[names[0]]


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of the language model: the config itself, or the part under `text_config`."""
    nested = config.get("text_config")
    return nested if isinstance(nested, dict) and of(config).multimodal else config


@dataclass(frozen=True)
class LanguageTensor:
    """A tensor of the language model, under its name in GGUF."""

    name: str
    stored: StoredTensor
    heads: int
    """Heads whose rows are reordered for the interleaved rotary; 0 for a tensor whose rows stay where they are."""
    shift: float = 0.0
    """What is added to every value."""

    def load(self) -> "np.ndarray[Any, Any]":
        """Its values in float32, as llama.cpp wants them. Raises ModelError when they are no numbers."""
        import numpy as np

        values = self.stored.load()
        if self.shift:
            values += np.float32(self.shift)
        if not self.heads:
            return values
        # Rows of each head from [first half, second half] to pairs (llama.cpp, conversion/llama.py: permute)
        halves = values.reshape(self.heads, 2, values.shape[0] // self.heads // 2, *values.shape[1:])
        return halves.swapaxes(1, 2).reshape(values.shape)


def language_tensors(
    stored: Iterable[StoredTensor], architecture: Architecture, text: Any, tied: bool
) -> Iterator[LanguageTensor]:
    """Those tensors of a checkpoint that its language model is made of.

    `tied`: the head is the embedding; one that is stored all the same is not read by transformers and not exported.

    Raises ExportError for a tensor that llama.cpp has no place for.
    """
    for tensor in stored:
        key = language_name(tensor.name)
        if key is None or (tied and key == "lm_head.weight"):
            continue
        found = language_tensor(tensor, key, architecture, text)
        if found is None:
            raise ExportError(f"{tensor.file}: {architecture.gguf} in llama.cpp has no tensor for {tensor.name}")
        yield found


def language_tensor(stored: StoredTensor, key: str, architecture: Architecture, text: Any) -> LanguageTensor | None:
    """A stored tensor as the one that transformers calls `key`; None when llama.cpp has no place for that."""
    key = language_name(key) or ""
    name = _name_map(architecture.gguf, text.num_hidden_layers).get_name(key, try_suffixes=(".weight", ".bias"))
    heads = _rotary_heads(key, text) if architecture.interleaved_rotary else 0
    shift = 1.0 if architecture.norms_less_one and key.endswith("norm.weight") else 0.0
    return LanguageTensor(name, stored, heads, shift) if name else None


@cache
def _name_map(gguf_name: str, layers: int) -> Any:
    import gguf

    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    return gguf.get_tensor_name_map(kinds[gguf_name], layers)


def language_name(name: str) -> str | None:
    """A tensor's name without what transformers 5 puts around a language model; None for the vision tower.

    >>> language_name("model.language_model.layers.0.mlp.up_proj.weight")
    'model.layers.0.mlp.up_proj.weight'
    """
    if name.startswith(("visual.", "model.visual.")):
        return None
    return name.replace("model.language_model.", "model.", 1)


def matrices(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """The tensors of two dimensions that the language model of a `config.json` has in GGUF, with their shapes, rows
    first: what can be quantized is so known before there is a checkpoint.

    Raises ExportError for an unknown architecture, KeyError for a config without its sizes.
    """
    of(config)
    text = config if "hidden_size" in config else text_config(config)
    hidden, inner, heads = text["hidden_size"], text["intermediate_size"], text["num_attention_heads"]
    head = text.get("head_dim") or hidden // heads
    keys = head * (text.get("num_key_value_heads") or heads)
    block = {
        "attn_q": (head * heads, hidden), "attn_k": (keys, hidden), "attn_v": (keys, hidden),
        "attn_output": (hidden, head * heads), "ffn_gate": (inner, hidden), "ffn_up": (inner, hidden),
        "ffn_down": (hidden, inner),
    }  # fmt: skip
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))
    ends = ("token_embd.weight",) if tied else ("token_embd.weight", "output.weight")
    layers = range(text["num_hidden_layers"])
    return dict.fromkeys(ends, (text["vocab_size"], hidden)) | {
        f"blk.{layer}.{name}.weight": shape for layer in layers for name, shape in block.items()
    }


def _rotary_heads(name: str, text: Any) -> int:
    if ".q_proj." in name:
        return int(text.num_attention_heads)
    return int(text.num_key_value_heads) if ".k_proj." in name else 0

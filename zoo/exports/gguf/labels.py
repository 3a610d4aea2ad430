"""What a GGUF file says of itself besides its network: name, licence, origin, recommended sampling.

Sampling is recommended only where `generation_config.json` samples: with `do_sample` off, the temperature beside it is
nobody's advice.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.action_grammar import GRAMMAR_KEY
from zoo.errors import ModelError

if TYPE_CHECKING:
    import gguf

__all__ = ["Labels", "add_labels", "add_sampling"]

_HUB = "https://huggingface.co"
# transformers' name -> the writer's; from llama.cpp's `general.sampling.*` keys
_SAMPLING = {
    "temperature": ("temp", float), "top_k": ("top_k", int), "top_p": ("top_p", float), "min_p": ("min_p", float),
    "repetition_penalty": ("penalty_repeat", float),
}  # fmt: skip


@dataclass(frozen=True)
class Labels:
    """What only whoever publishes a file knows; empty where it is not known."""

    name: str = ""
    license: str = ""
    """SPDX identifier."""
    base_model: str = ""
    """`owner/name`."""
    grammar: str = ""
    """GBNF of what the model answers."""


def add_labels(writer: "gguf.GGUFWriter", labels: Labels) -> None:
    """Write what is known of it."""
    if labels.name:
        writer.add_name(labels.name)
    if labels.license:
        writer.add_license(labels.license)
    if labels.grammar:
        writer.add_string(GRAMMAR_KEY, labels.grammar)
    if labels.base_model:
        owner, _, name = labels.base_model.partition("/")
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, name)
        writer.add_base_model_organization(0, owner)
        writer.add_base_model_repo_url(0, f"{_HUB}/{labels.base_model}")


def add_sampling(writer: "gguf.GGUFWriter", checkpoint: Path) -> None:
    """Write the sampling that a checkpoint recommends. Raises ModelError when its `generation_config.json` is none."""
    file = checkpoint / "generation_config.json"
    try:
        advised: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        if not advised.get("do_sample"):
            return
        found = {name: kind(advised[key]) for key, (name, kind) in _SAMPLING.items() if advised.get(key) is not None}
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{file}: no generation settings: {error}") from error
    for name, value in found.items():
        getattr(writer, f"add_sampling_{name}")(value)

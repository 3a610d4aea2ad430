"""A checkpoint folder: weights, config, tokenizer or processor, chat template and stop tokens, as others read them.

transformers 5 writes four things that transformers 4 misreads, the first of them in silence: the rotary base (under
`rope_parameters` only, so 4 takes its default and the perplexity rises), the type of the weights, the tokenizer's
class with what it returns, and its further special tokens. What is saved here says them both ways.
"""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import ModelError

__all__ = ["SHARD_BYTES", "CheckpointFacts", "TensorFacts", "dual_version", "facts", "save", "tensors"]

SHARD_BYTES = 4 * 2**30
_READABLE_BY_ALL = 0o644
_LONGEST_HEADER_BYTES = 100 * 2**20


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint's small files say of it."""

    model_type: str
    positions: int
    """The longest sequence that the model was made for, in tokens."""
    sees_images: bool


@dataclass(frozen=True)
class TensorFacts:
    """What a safetensors header says of a tensor."""

    dtype: str
    shape: tuple[int, ...]
    file: str


def facts(folder: Path) -> CheckpointFacts:
    """Read what a checkpoint is from its `config.json`.

    Raises ModelError when there is none, or when it is no model's.
    """
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
        language = config.get("text_config") or config
        return CheckpointFacts(
            config["model_type"], int(language["max_position_embeddings"]), sees_images="vision_config" in config
        )
    except FileNotFoundError:
        raise ModelError(f"{folder} has no config.json, so that it is no checkpoint") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{file} does not describe a language model: {error!r}") from error


def tensors(folder: Path) -> dict[str, TensorFacts]:
    """Every tensor of a checkpoint by name, from the headers of its safetensors files; no weight is read.

    Raises ModelError when there is none, or when a file is shorter or longer than its header says.
    """
    found: dict[str, TensorFacts] = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, entry in _header(file).items():
            found[name] = TensorFacts(entry["dtype"], tuple(entry["shape"]), file.name)
    index = folder / "model.safetensors.index.json"
    listed = json.loads(index.read_text("utf-8"))["weight_map"] if index.is_file() else {}
    if missing := sorted(listed.keys() - found.keys()):
        raise ModelError(f"{folder} lacks {len(missing)} tensors that its index lists, {missing[0]} the first of them")
    if not found:
        raise ModelError(f"{folder} holds no safetensors weights")
    return found


def _header(file: Path) -> dict[str, Any]:
    """The header of a safetensors file, without its metadata: tensor name -> dtype, shape, data_offsets."""
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size, _LONGEST_HEADER_BYTES):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header: dict[str, Any] = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file} is no whole safetensors file: {error}; fetch or make it again") from error
    if end != size:
        wrong = "is cut off" if size < end else "has more behind its end"
        raise ModelError(f"{file} {wrong}: it has {size} bytes and its header speaks of {end}; fetch or make it again")
    return header


def save(model: Any, processor: Any, folder: Path, dtype: str) -> None:
    """Write a whole checkpoint: safetensors in `dtype` (`float32`, `bfloat16`) and everything needed to use it.

    `processor` is a tokenizer, or a processor that holds one. The model is cast in place.
    """
    import torch

    model.to(getattr(torch, dtype))
    _stop_where_the_tokenizer_does(model.generation_config, getattr(processor, "tokenizer", processor).eos_token_id)
    # The path that it was loaded from would otherwise end up in config.json, on a Hub.
    model.config._name_or_path = ""
    model.save_pretrained(folder, max_shard_size=SHARD_BYTES)
    processor.save_pretrained(folder)
    if images := getattr(processor, "image_processor", None):
        images.save_pretrained(folder)
    dual_version(folder)


def dual_version(folder: Path) -> None:
    """Mend a folder that transformers 5 saved so that transformers 4 reads the same model from it.

    Also opens the weights to other users: safetensors writes them readable by their owner only.
    """
    _edit(folder / "config.json", _with_old_names)
    _edit(folder / "tokenizer_config.json", _with_old_tokenizer)
    _edit(folder / "preprocessor_config.json", _with_old_image_processor)
    for file in folder.glob("*.safetensors"):
        file.chmod(_READABLE_BY_ALL)


def _stop_where_the_tokenizer_does(generation: Any, stop: int | None) -> None:
    """Add the tokenizer's stop token to those at which generation ends, if it is not among them."""
    stops = generation.eos_token_id
    stops = [stops] if isinstance(stops, int) else list(stops or ())
    if stop is not None and stop not in stops:
        generation.eos_token_id = [*stops, stop]


def _edit(file: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    if file.is_file():
        data = change(json.loads(file.read_text("utf-8")))
        file.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _with_old_names(config: dict[str, Any]) -> dict[str, Any]:
    rotary = config.get("rope_parameters") or {}
    if "rope_theta" in rotary:
        config["rope_theta"] = rotary["rope_theta"]
        scaling = {key: value for key, value in rotary.items() if key != "rope_theta"}
        if scaling != {"rope_type": "default"}:
            config["rope_scaling"] = scaling
    if "dtype" in config:
        config["torch_dtype"] = config["dtype"]
    if isinstance(config.get("text_config"), dict):
        config["text_config"] = _with_old_names(config["text_config"])
    return config


def _with_old_tokenizer(config: dict[str, Any]) -> dict[str, Any]:
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        # By default, 4's class also returns token types, at which generate() then stops.
        config.setdefault("model_input_names", ["input_ids", "attention_mask"])
    if isinstance(config.get("extra_special_tokens"), list):
        # 4 ends in an AttributeError over a list under this name; 5 reads the old name too.
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    return config


def _with_old_image_processor(config: dict[str, Any]) -> dict[str, Any]:
    name = config.get("image_processor_type", "")
    return {**config, "image_processor_type": name.removesuffix("Pil")} if name else config

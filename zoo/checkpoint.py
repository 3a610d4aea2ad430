"""A checkpoint folder: weights, config, tokenizer or processor, chat template and stop tokens, as others read them.

transformers 5 writes three things that transformers 4 misreads, the first of them in silence: the rotary base (under
`rope_parameters` only, so 4 takes its default and the perplexity rises), the type of the weights, and the tokenizer's
class. What is saved here says them both ways.
"""

import json
from pathlib import Path
from typing import Any

__all__ = ["SHARD_BYTES", "dual_version", "save"]

SHARD_BYTES = 4 * 2**30
_READABLE_BY_ALL = 0o644


def save(model: Any, processor: Any, folder: Path, dtype: str) -> None:
    """Write a whole checkpoint: safetensors in `dtype` (`float32`, `bfloat16`) and everything needed to use it.

    `processor` is a tokenizer, or a processor that holds one. The model is cast in place.
    """
    import torch

    model.to(getattr(torch, dtype))
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


def _edit(file: Path, change: Any) -> None:
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
    return config


def _with_old_image_processor(config: dict[str, Any]) -> dict[str, Any]:
    name = config.get("image_processor_type", "")
    return {**config, "image_processor_type": name.removesuffix("Pil")} if name else config

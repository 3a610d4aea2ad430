"""A checkpoint into memory to be trained, and what was trained back onto disk as a whole checkpoint.

A LoRA adapter is merged into the base in float32, whatever it was trained in: in bfloat16 most of its small changes
round away.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zoo import checkpoint
from zoo.errors import EnvironmentFailure, ModelError

__all__ = [
    "ADAPTER_FOLDER",
    "check_parts",
    "check_quantized",
    "config",
    "freeze",
    "load_dataset",
    "load_model",
    "lora_config",
    "write_adapter",
    "write_trained",
]

ADAPTER_FOLDER = "adapter"
_NOTHING_LEFT = "`freeze` leaves nothing to train"


def config(folder: Path) -> dict[str, Any]:
    """A checkpoint's `config.json`, which `zoo.checkpoint.facts` has found to be a language model's."""
    checkpoint.facts(folder)
    read: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return read


def check_quantized(quantize: str | None, find: Callable[[str], object | None] = find_spec) -> None:
    """Refuse to quantize where it cannot be done.

    Raises EnvironmentFailure without bitsandbytes; its four-bit kernels run on a CPU too, only slowly.
    """
    if quantize and find("bitsandbytes") is None:
        raise EnvironmentFailure(
            f"quantize: {quantize} needs bitsandbytes, which is not installed; run: pip install 'edgezoo[qlora]', or "
            "leave `quantize` out"
        )


def load_model(folder: Path, dtype: str, attention: str = "sdpa", quantize: str | None = None) -> Any:
    """The model of a checkpoint in `float32` or `bfloat16`, on the CPU; `attention` as transformers names it.

    With `quantize: nf4` its linear layers hold four bits a weight and compute in `dtype` (QLoRA, arXiv 2305.14314).
    Raises ModelError when its weights are not whole.
    """
    import torch

    checkpoint.tensors(folder)
    type_ = getattr(torch, dtype)
    return _kind(folder).from_pretrained(
        folder, dtype=type_, attn_implementation=attention, quantization_config=_quantization(quantize, type_)
    )


def _quantization(quantize: str | None, dtype: Any) -> Any:
    if quantize is None:
        return None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=quantize, bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def load_dataset(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Any:
    """Rows as a dataset of these columns, and of `images` where rows have them, opened when a batch needs them."""
    from datasets import Dataset, Image, List

    columns = [*columns, *(["images"] if "images" in rows[0] else [])]
    dataset = Dataset.from_list([{column: row.get(column) for column in columns} for row in rows])
    return dataset.cast_column("images", List(Image())) if "images" in columns else dataset


def lora_config(options: Mapping[str, Any] | None) -> Any:
    """peft's LoraConfig of a recipe's `lora`, or None."""
    if options is None:
        return None
    from peft import LoraConfig

    try:
        return LoraConfig(**options, task_type="CAUSAL_LM")
    except ValueError as error:
        raise ModelError(f"lora: {error}; mend it under the stage's `lora:`") from error


def check_parts(folder: Path, lora: Mapping[str, Any] | None, frozen: Sequence[str]) -> None:
    """Hold the names in `lora.target_modules` and `freeze` against those of the model; no weight is read.

    Raises ModelError for a name that the model has not, for an adapter on the head, from whose weights TRL computes
    its losses, and when nothing is left to train.
    """
    wanted = (lora or {}).get("target_modules")
    listed = [] if wanted is None or isinstance(wanted, str) else list(wanted)
    if not listed and not frozen:
        return
    model = _without_weights(folder)
    modules = [name for name, _ in model.named_modules() if name]
    for target in listed:
        if not any(name == target or name.endswith(f".{target}") for name in modules):
            layers = sorted({name.rpartition(".")[2] for name in modules if not name.rpartition(".")[2].isdigit()})
            raise ModelError(
                f"no module is named {target!r} (in `lora.target_modules`); write all-linear, or some of "
                f"{', '.join(layers)}"
            )
        if target.rpartition(".")[2] == "lm_head":
            raise ModelError(
                f"{target!r} (in `lora.target_modules`) would never be trained, since the losses read its "
                "weights past an adapter; leave it out"
            )
    parameters = [name for name, _ in model.named_parameters()]
    _check_prefixes(parameters, frozen)
    if lora is None and all(name.startswith(tuple(frozen)) for name in parameters):
        raise ModelError(_NOTHING_LEFT)


def freeze(model: Any, prefixes: Sequence[str]) -> None:
    """Keep the parameters whose name starts with a prefix as they are; adapters on them too.

    Raises ModelError for a prefix that no parameter has, or when nothing is left to train.
    """
    names = {name: name.removeprefix("base_model.model.") for name, _ in model.named_parameters()}
    _check_prefixes(names.values(), prefixes)
    for name, parameter in model.named_parameters():
        if names[name].startswith(tuple(prefixes)):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError(_NOTHING_LEFT)


def _check_prefixes(names: Iterable[str], prefixes: Sequence[str]) -> None:
    known = list(names)
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in known):
            heads = sorted({".".join(name.split(".")[:2]) for name in known})
            raise ModelError(f"no parameter starts with {prefix!r} (in `freeze`); they start with {', '.join(heads)}")


def _without_weights(folder: Path) -> Any:
    """The model of a checkpoint as its config has it, with names and shapes alone."""
    import torch
    from transformers import AutoConfig

    with torch.device("meta"):
        return _kind(folder).from_config(AutoConfig.from_pretrained(folder))


def _kind(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    return AutoModelForImageTextToText if checkpoint.facts(folder).sees_images else AutoModelForCausalLM


def write_trained(model: Any, processor: Any, base: Path, folder: Path, dtype: str, adapter: str = "default") -> None:
    """Write what was trained as a whole checkpoint, and an adapter, if it is one, into `adapter/` beside it.

    `adapter` is the name of the one to write and merge, of several.
    """
    if hasattr(model, "peft_config"):
        write_adapter(model, folder / ADAPTER_FOLDER, adapter)
        model = _merged(base, folder / ADAPTER_FOLDER)
    checkpoint.save(model, processor, folder, dtype)


def write_adapter(model: Any, folder: Path, name: str = "default") -> None:
    """Write one adapter of a model."""
    model.save_pretrained(folder, selected_adapters=[name])
    if name != "default":  # peft writes these one folder deeper
        for file in (folder / name).iterdir():
            file.replace(folder / file.name)
        (folder / name).rmdir()
    # peft's own card and the path of the base on this machine: neither belongs into an artifact.
    (folder / "README.md").unlink(missing_ok=True)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**config, "base_model_name_or_path": None}, indent=2, sort_keys=True) + "\n", "utf-8")


def _merged(base: Path, adapter: Path) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(load_model(base, "float32"), adapter).merge_and_unload()

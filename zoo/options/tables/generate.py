"""Tables of options made from the libraries' own classes. Imports torch; only a maintainer and a test run it."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from importlib.metadata import version
from typing import Any

__all__ = ["generate"]

# Options that are plain strings in the class and whose choices stand only in the text of its help; an unknown one
# fails at the first step, after the weights were loaded. `generate` makes sure that the text still names each.
_CHOICES_IN_HELP = {
    "loss_type": ("grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
    "scale_rewards": ("group", "batch", "none"),
    "importance_sampling_level": ("token", "sequence"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "vllm_mode": ("server", "colocate"),
    "uld_token_merge_strategy": ("observed", "bayesian"),
}
_ALSO_BOOL = ("scale_rewards",)
# Enumerations whose values may be joined in one string, or that the stages set themselves.
_OPEN_ENUMERATIONS = ("DebugOption", "TaskType", "PeftType")

_NAMES = {int: "int", float: "float", bool: "bool", str: "str", type(None): "none", dict: "dict", list: "list"}


def generate(library: str) -> dict[str, Any]:
    """The table of `trl`, `peft` or `mergekit`, as the installed version has it."""
    return {"trl": _trl, "peft": _peft, "mergekit": _mergekit}[library]()


def _trl() -> dict[str, Any]:
    from trl import GRPOConfig, SFTConfig
    from trl.experimental.gold import GOLDConfig

    versions = {name: _minor(name) for name in ("trl", "transformers")}
    classes = (SFTConfig, GRPOConfig, GOLDConfig)
    return {"versions": versions, **{config.__name__: _dataclass(config) for config in classes}}


def _peft() -> dict[str, Any]:
    from peft import LoraConfig

    return {"versions": {"peft": _minor("peft")}, "LoraConfig": _dataclass(LoraConfig)}


def _mergekit() -> dict[str, Any]:
    from mergekit.config import (
        InputModelDefinition,
        InputSliceDefinition,
        MergeConfiguration,
        OutputModuleDefinition,
        OutputSliceDefinition,
    )
    from mergekit.merge_methods import registered_methods
    from mergekit.tokenizer.config import TokenizerConfig

    sections = {
        "configuration": MergeConfiguration,
        "models": InputModelDefinition,
        "slices": OutputSliceDefinition,
        "sources": InputSliceDefinition,
        "modules": OutputModuleDefinition,
        "tokenizer": TokenizerConfig,
    }
    return {
        "versions": {"mergekit": version("mergekit")},
        "keys": {name: sorted(section.model_fields) for name, section in sections.items()},
        "methods": {method.spec.name: _method(method.spec) for method in registered_methods()},
    }


def _method(spec: Any) -> dict[str, Any]:
    parameters = {
        parameter.name: {"scope": parameter.scope.value, "required": parameter.required}
        for parameter in spec.parameters
    }
    return {"base": spec.contract.base.value, "parameters": parameters}


def _minor(distribution: str) -> str:
    return ".".join(version(distribution).split(".")[:2])


def _dataclass(config: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(config)
    return {field.name: _field(field, hints[field.name]) for field in dataclasses.fields(config) if field.init}


def _field(field: Any, hint: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"types": sorted(_types(hint)), "default": _plain(_default(field))}
    choices = _choices(hint) or list(field.metadata.get("choices", ())) or _choices_in_help(field)
    if choices:
        entry["choices"] = sorted(choices)
    if field.name in _ALSO_BOOL:
        entry["types"].append("bool")
    return entry


def _types(hint: Any) -> set[str]:
    """The names of the plain types that a hint allows; classes that a recipe cannot write are left out."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return {"any"}
    if origin in (typing.Union, types.UnionType):
        return set().union(*(_types(argument) for argument in typing.get_args(hint)))
    if origin is typing.Literal:
        return {_NAMES[type(value)] for value in typing.get_args(hint)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"str"}
    name = _NAMES.get(origin or hint)
    return {name} if name else set()


def _choices(hint: Any) -> list[str]:
    """The strings that a hint allows, when it names them: those of a Literal or of an enumeration."""
    if typing.get_origin(hint) is typing.Literal:
        return [value for value in typing.get_args(hint) if isinstance(value, str)]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [choice for argument in typing.get_args(hint) for choice in _choices(argument)]
    if isinstance(hint, type) and issubclass(hint, Enum) and hint.__name__ not in _OPEN_ENUMERATIONS:
        return [member.value for member in hint]
    return []


def _choices_in_help(field: Any) -> list[str]:
    choices = _CHOICES_IN_HELP.get(field.name, ())
    text = field.metadata.get("help", "")
    if gone := [choice for choice in choices if f"{choice}'" not in text and f'"{choice}"' not in text]:
        raise ValueError(f"the help of {field.name} no longer names {', '.join(gone)}: read it and mend the choices")
    return list(choices)


def _default(field: Any) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else None


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    return value if isinstance(value, str | int | float | bool | list | None) else None

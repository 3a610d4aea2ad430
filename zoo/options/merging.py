"""mergekit's own keys, which it ignores in silence when it does not know them, and five of its traps.

Closed here: a donor of config and tokenizer that depends on Python's hash seed, arithmetic in bfloat16 that swallows
what a fine-tune changed, parameters that are never read, a method that is wrong for fine-tunes, too few of them. Not
here: whether the inputs are relatives and the merge has every tensor, which their files tell (`zoo.merge`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from zoo.errors import did_you_mean
from zoo.options.problem import OptionProblem
from zoo.options.tables import read

__all__ = ["check_mergekit"]

_INPUTS = ("models", "slices", "modules")
_UNSOUND = {
    "multislerp": "it moves tensors that are equal in all inputs, by more than a fine-tune does; use `linear`",
}
_SEVERAL = {
    "model_stock": "it finds the middle of several fine-tunes by the angles between them",
    "sce": "it weighs several fine-tunes against each other, and of one would give that one",
}


def check_mergekit(options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    """Problems of a merge configuration whose models are references of a recipe."""
    yield from _unknown(options, "configuration", "")
    yield from _method_problems(options)
    yield from _donor_problems(options)
    yield from _dtype_problems(options)
    yield from _input_problems(options)
    given = [name for name in _INPUTS if options.get(name)]
    if len(given) != 1:
        said = f"it has {' and '.join(given)}" if given else "it has none of them"
        yield OptionProblem("", f"exactly one of models, slices and modules says what is merged; {said}")
    method = read("mergekit")["methods"].get(options.get("merge_method"))
    if method:
        yield from _tree_problems(options, method, "")
        yield from _missing_parameters(options, method)


def _method_problems(options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    methods, name = read("mergekit")["methods"], options.get("merge_method")
    if name is None:
        yield OptionProblem("merge_method", "it is missing", did_you_mean("", list(methods)))
    elif name not in methods:
        yield OptionProblem("merge_method", f"mergekit has no method {name!r}", did_you_mean(str(name), list(methods)))
    elif name in _UNSOUND:
        yield OptionProblem("merge_method", f"{name!r} is not offered", _UNSOUND[name])


def _donor_problems(options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    if not isinstance(options.get("base_model"), str):
        yield OptionProblem(
            "base_model",
            "it is missing, so that mergekit would take config and tokenizer from whichever input its hash table "
            "gives first",
            "write the reference whose config, tokenizer and chat template the merge gets",
        )
    tokenizer = options.get("tokenizer")
    named = {
        "tokenizer_source": options.get("tokenizer_source"),
        "tokenizer.source": tokenizer.get("source") if isinstance(tokenizer, Mapping) else None,
    }
    for place, source in named.items():
        if source not in (None, "base", "union"):
            yield OptionProblem(place, f"{source!r} is neither base nor union", "name the donor as `base_model`")


def _dtype_problems(options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    if options.get("dtype") != "float32":
        yield OptionProblem(
            "dtype",
            f"{options.get('dtype')!r} is the type of the arithmetic, and less than float32 swallows small differences",
            "write `dtype: float32`, and `out_dtype: bfloat16` for the file",
        )


def _input_problems(options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    """The same model twice in one merge, which mergekit refuses halfway, and too few for a method that compares."""
    models = [entry.get("model") for _, entry in _entries(options.get("models")) if isinstance(entry, Mapping)]
    for index, model in enumerate(models):
        if model in models[:index]:
            yield OptionProblem(
                f"models.{index}.model", f"{model!r} is there already", "add its weights, write it once"
            )
    method, others = options.get("merge_method"), {str(model) for model in models} - {str(options.get("base_model"))}
    if models and method in _SEVERAL and len(others) < 2:
        yield OptionProblem(
            "models",
            f"{method} is given {len(others)} model beside the base_model; {_SEVERAL[method]}",
            "name two or more different fine-tunes of the base_model, or take `linear`",
        )


def _tree_problems(node: Mapping[str, Any], method: Mapping[str, Any], place: str) -> Iterator[OptionProblem]:
    """Unknown keys and parameters in the nested entries of a configuration."""
    parameters = node.get("parameters")
    if isinstance(parameters, Mapping):
        yield from _parameter_problems(parameters, method, f"{place}parameters", one_input="model" in node)
    if isinstance(tokenizer := node.get("tokenizer"), Mapping):
        yield from _unknown(tokenizer, "tokenizer", "tokenizer.")
    for section in ("models", "slices", "sources", "modules"):
        for label, entry in _entries(node.get(section)):
            inner = f"{place}{section}.{label}."
            if not isinstance(entry, Mapping):
                yield OptionProblem(
                    inner.rstrip("."), f"{entry!r} is not a mapping", "write `model:` and `parameters:`"
                )
                continue
            yield from _unknown(entry, section, inner)
            yield from _tree_problems(entry, method, inner)
            if section in ("models", "sources") and not isinstance(entry.get("model"), str):
                yield OptionProblem(f"{inner}model", f"{entry.get('model')!r} is no reference")


def _parameter_problems(
    parameters: Mapping[str, Any], method: Mapping[str, Any], place: str, one_input: bool
) -> Iterator[OptionProblem]:
    known = method["parameters"]
    for name in parameters:
        if name not in known:
            yield OptionProblem(f"{place}.{name}", "the method has no such parameter", did_you_mean(name, list(known)))
        elif one_input and known[name]["scope"] == "shared":
            yield OptionProblem(
                f"{place}.{name}", "mergekit reads it for all inputs at once and would ignore it here",
                "move it to the `parameters` of the whole configuration",
            )  # fmt: skip


def _missing_parameters(options: Mapping[str, Any], method: Mapping[str, Any]) -> Iterator[OptionProblem]:
    """Parameters without a default that neither the configuration nor an entry of `models` gives."""
    common = options.get("parameters") or {}
    required = {name: known for name, known in method["parameters"].items() if known["required"] and name not in common}
    for name, known in required.items():
        if known["scope"] == "shared" and options.get("models"):
            yield OptionProblem("parameters", f"{name!r} is missing, which the method cannot do without")
        for label, entry in _entries(options.get("models")):
            is_base = known["scope"] == "non_base" and entry.get("model") == options.get("base_model")
            if known["scope"] != "shared" and not is_base and name not in (entry.get("parameters") or {}):
                yield OptionProblem(f"models.{label}.parameters", f"{name!r} is missing for this model")


def _unknown(node: Mapping[str, Any], section: str, place: str) -> Iterator[OptionProblem]:
    known = read("mergekit")["keys"][section]
    for key in node:
        if key not in known:
            yield OptionProblem(f"{place}{key}", "mergekit has no such key", did_you_mean(str(key), known))


def _entries(section: Any) -> Iterator[tuple[str, Any]]:
    """The entries of a list or a mapping, with their place in it."""
    if isinstance(section, Mapping):
        yield from ((str(label), entry) for label, entry in section.items())
    elif isinstance(section, list | tuple):
        yield from ((str(index), entry) for index, entry in enumerate(section))

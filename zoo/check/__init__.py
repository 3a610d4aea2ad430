"""What can be wrong between the stages of a recipe whose keys are all right: references, options, arithmetic."""

import re
from collections.abc import Callable, Iterator, Mapping

from zoo import options, registry
from zoo.check import distilling, publishing, sweeping
from zoo.check.data import data_problems
from zoo.check.policy import policy_problems
from zoo.check.world_model import foresight_problems
from zoo.check.worlds import world_problems
from zoo.errors import Problem, did_you_mean
from zoo.refs import HubRef, PathRef, StageRef
from zoo.schema import (
    Accepts,
    DataSpec,
    DistillSpec,
    GGUFSpec,
    GRPOSpec,
    LatencySpec,
    MergeSpec,
    ONNXSpec,
    PublishSpec,
    Recipe,
    SFTSpec,
    StageSpec,
    VerifySpec,
    references,
)
from zoo.source import Place

__all__ = ["order", "problems", "upstream"]

_CHECKPOINT = (
    "name a folder with config.json and model.safetensors; a .gguf or .onnx file can act in a data stage alone, with "
    "source: agent"
)

Where = Callable[[Place], str]


def problems(recipe: Recipe, where: Where, *, tiny: bool = False) -> list[Problem]:
    """Everything that is wrong with a typed recipe, in the order of its stages."""
    found = list(_names(recipe, where))
    for name, spec in recipe.stages.items():
        found += _references(recipe, name, spec, where, tiny)
        found += _options(name, spec, where)
        found += [
            Problem(where(("stages", name, *_words(key))), f"{name}: {what}", instead)
            for key, what, instead in world_problems(spec)
        ]
        if isinstance(spec, GRPOSpec):
            found += policy_problems(name, spec, where, recipe.hardware, tiny=tiny)
    return (
        found
        or list(_circles(recipe, where))
        or [
            *_gates(recipe, where),
            *_measured_types(recipe, where),
            *_adapters(recipe, where),
            *_exported_adapters(recipe, where),
            *foresight_problems(recipe, where),
            *distilling.problems(recipe, where),
            *publishing.problems(recipe, where),
            *sweeping.problems(recipe, where),
        ]
    )


def order(stages: Mapping[str, StageSpec]) -> list[str]:
    """Stage names, each after those that it reads; otherwise as written. A circle's members are left out."""
    ordered: list[str] = []
    while True:
        ready = [name for name in stages if name not in ordered and all(up in ordered for up in upstream(stages[name]))]
        if not ready:
            return ordered
        ordered.append(ready[0])


def upstream(spec: StageSpec) -> list[str]:
    """The stages that a stage reads."""
    return [ref.name for _, ref, _ in references(spec) if isinstance(ref, StageRef)]


def _names(recipe: Recipe, where: Where) -> Iterator[Problem]:
    for name in recipe.stages:
        if not re.fullmatch(Recipe.STAGE_NAME, name):
            yield Problem(where(("stages", name)), f"{name!r} is no name of a stage", "use a-z, 0-9, - and _")


def _references(recipe: Recipe, name: str, spec: StageSpec, where: Where, tiny: bool) -> Iterator[Problem]:
    for place, ref, accepts in references(spec):
        spot = where(("stages", name, *_words(place)))
        if isinstance(ref, StageRef):
            yield from _stage_reference(recipe, name, ref, accepts, f"{name}.{place}", spot)
        elif isinstance(ref, HubRef) and accepts.hub is None:
            yield Problem(
                spot, f"{name}.{place} needs the {accepts.produces} of a stage, {ref} is on a Hub", "stage:name"
            )
        elif isinstance(ref, HubRef) and tiny:
            yield Problem(
                spot, f"nothing stands in for {ref.repo} in the tiny twin", f"add it to tiny.replace: {ref.repo}: ..."
            )
        elif isinstance(ref, PathRef) and not ref.path.exists():
            yield Problem(
                spot, f"{name}.{place}: there is no {ref.path}", "paths are relative to where the command runs"
            )
        elif isinstance(ref, PathRef) and accepts.produces == "model" and not _fits(spec, ref):
            yield Problem(spot, f"{name}.{place}: {ref.path} is no checkpoint", _CHECKPOINT)


def _fits(spec: StageSpec, ref: PathRef) -> bool:
    """Whether a path can be the model of a stage: a checkpoint or an adapter; to act, an exported file will do."""
    if isinstance(spec, DataSpec):
        return True
    return any((ref.path / name).is_file() for name in ("config.json", "adapter_config.json"))


def _stage_reference(
    recipe: Recipe, name: str, ref: StageRef, accepts: Accepts, shown: str, spot: str
) -> Iterator[Problem]:
    if ref.name not in recipe.stages:
        yield Problem(spot, f"{shown}: there is no stage {ref.name!r}", did_you_mean(ref.name, list(recipe.stages)))
    elif ref.name == name:
        yield Problem(spot, f"{shown}: stage {name} reads itself", "name another stage")
    elif (made := registry.STAGES[recipe.stages[ref.name].kind].produces) != accepts.produces:
        fitting = [
            other for other, spec in recipe.stages.items() if registry.STAGES[spec.kind].produces == accepts.produces
        ]
        hint = f"stages that do: {', '.join(fitting)}" if fitting else "no stage of this recipe does"
        yield Problem(spot, f"{shown} needs {accepts.produces}, stage {ref.name} makes {made}", hint)


def _circles(recipe: Recipe, where: Where) -> Iterator[Problem]:
    left = [name for name in recipe.stages if name not in order(recipe.stages)]
    if left:
        spot = where(("stages", left[0]))
        yield Problem(spot, f"these stages wait for each other: {', '.join(left)}", "let one read something finished")


def _options(name: str, spec: StageSpec, where: Where) -> Iterator[Problem]:
    """The options of the libraries, each checked against the library's own class."""
    if isinstance(spec, SFTSpec | GRPOSpec):
        library = "trl.SFTConfig" if isinstance(spec, SFTSpec) else "trl.GRPOConfig"
        yield from _library(name, "trl", library, spec.trl, where)
        yield from _library(name, "lora", "peft.LoraConfig", spec.lora or {}, where)
    if isinstance(spec, DistillSpec):
        yield from _library(name, "trl", "trl.GOLDConfig" if spec.gold else "trl.SFTConfig", spec.trl, where)
        yield from _library(name, "lora", "peft.LoraConfig", spec.lora or {}, where)
    if isinstance(spec, DataSpec):
        for key, what, instead in data_problems(spec):
            yield Problem(where(("stages", name, key)), f"{name}: {what}", instead)
    if isinstance(spec, MergeSpec):
        yield from _library(name, "mergekit", "mergekit", spec.mergekit, where)


def _library(name: str, key: str, library: str, given: Mapping[str, object], where: Where) -> Iterator[Problem]:
    for problem in options.check(library, given):
        spot = where(("stages", name, key, *_words(problem.path)))
        shown = ".".join(word for word in (name, key, problem.path) if word)
        yield Problem(spot, f"{shown}: {problem.message}", problem.hint)


def _gates(recipe: Recipe, where: Where) -> Iterator[Problem]:
    for name, spec in recipe.stages.items():
        if not isinstance(spec, VerifySpec) or not isinstance(spec.export, StageRef):
            continue
        made = recipe.stages[spec.export.name]
        types = list(made.variants if isinstance(made, ONNXSpec) else getattr(made, "types", ()))
        for key, named in (("gates", spec.gates), ("optional", spec.optional)):
            for unknown in (type_ for type_ in named if type_ not in types):
                yield Problem(
                    where(("stages", name, key, unknown)),
                    f"{name}.{key} names {unknown}, but {spec.export} writes no {unknown}",
                    did_you_mean(unknown, types),
                )


def _measured_types(recipe: Recipe, where: Where) -> Iterator[Problem]:
    """What is measured must be exported."""
    for name, spec in recipe.stages.items():
        if not isinstance(spec, LatencySpec) or not isinstance(spec.export, StageRef):
            continue
        made = recipe.stages[spec.export.name]
        types = list(made.variants if isinstance(made, ONNXSpec) else getattr(made, "types", ()))
        for place, unknown in enumerate(spec.types or ()):
            if unknown not in types:
                spot, what = where(("stages", name, "types", place)), f"{spec.export} writes no {unknown}"
                yield Problem(spot, f"{name}.types names {unknown}, but {what}", did_you_mean(unknown, types))


def _adapters(recipe: Recipe, where: Where) -> Iterator[Problem]:
    """An adapter is of use to whoever can get the model that it belongs on."""
    for name, spec in recipe.stages.items():
        if not isinstance(spec, PublishSpec) or spec.adapter is False:
            continue
        ref = spec.model if spec.adapter is True else spec.adapter
        spot = where(("stages", name, "adapter"))
        trained = recipe.stages.get(ref.name) if isinstance(ref, StageRef) else None
        if not isinstance(trained, SFTSpec | DistillSpec | GRPOSpec) or trained.lora is None:
            yield Problem(spot, f"{ref} trains no adapter", "name a training stage with `lora:`, such as stage:sft")
        elif isinstance(trained.model, StageRef) and recipe.stages[trained.model.name].kind != "tiny":
            what = f"the adapter of {ref} belongs on {trained.model}, which is not published by itself"
            yield Problem(spot, what, "name a training stage that began from a model of a Hub")


def _exported_adapters(recipe: Recipe, where: Where) -> Iterator[Problem]:
    """An adapter can be exported only of a stage that trains one."""
    for name, spec in recipe.stages.items():
        if not isinstance(spec, GGUFSpec) or not spec.adapter or not isinstance(spec.model, StageRef):
            continue
        if getattr(recipe.stages[spec.model.name], "lora", None) is None:
            yield Problem(
                where(("stages", name, "adapter")),
                f"{name}.adapter: {spec.model} trains no adapter",
                "name a stage with lora: {...}, or leave adapter out",
            )


def _words(dotted: str) -> tuple[str | int, ...]:
    return tuple(int(word) if word.isdigit() else word for word in dotted.split("."))

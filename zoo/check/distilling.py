"""What can be wrong with a distillation: options that its losses leave no room for, stored logits of something else."""

from collections.abc import Callable, Iterator

from zoo.errors import Problem
from zoo.refs import StageRef
from zoo.schema import DistillSpec, LogitsSpec, Recipe
from zoo.source import Place

__all__ = ["problems"]

Where = Callable[[Place], str]
_OWN_LOSS = ("packing", "padding_free", "loss_type", "label_smoothing_factor")


def problems(recipe: Recipe, where: Where) -> Iterator[Problem]:
    """Everything that is wrong with the distillations of a recipe whose references are all right."""
    for name, spec in recipe.stages.items():
        if isinstance(spec, DistillSpec):
            yield from _options(name, spec, where)
            yield from _stored_logits(recipe, name, spec, where)


def _options(name: str, spec: DistillSpec, where: Where) -> Iterator[Problem]:
    for option in () if spec.gold else _OWN_LOSS:
        if option in spec.trl:
            spot = where(("stages", name, "trl", option))
            what = f"{name}.trl.{option}: a distill stage has losses of its own, over rows that stay apart"
            yield Problem(spot, what, "leave it out; its `loss` and `weights` say what is learned")
    if "beta" in spec.model_fields_set and spec.loss != "jsd":
        what = f"{name}.beta is of loss: jsd, and the loss is {spec.loss}"
        yield Problem(where(("stages", name, "beta")), what, "leave beta out, or write loss: jsd")
    if spec.rollouts.source == "world" and not spec.lmbda:
        what = f"{name}.rollouts: with lmbda 0 the student never acts"
        yield Problem(where(("stages", name, "rollouts")), what, "write lmbda: 1.0, or another share, or leave it out")


def _stored_logits(recipe: Recipe, name: str, spec: DistillSpec, where: Where) -> Iterator[Problem]:
    """Stored logits are of the rows, and at the temperatures, that they were stored for."""
    stored = recipe.stages[spec.logits.name] if isinstance(spec.logits, StageRef) else None
    if not isinstance(stored, LogitsSpec):
        return
    if stored.data != spec.data:
        what = f"{name}.logits: {spec.logits} scored {stored.data}, but {name} learns from {spec.data}"
        yield Problem(where(("stages", name, "logits")), what, "give both the same `data`")
    if spec.temperature not in stored.temperatures:
        what = f"{name}.temperature is {spec.temperature}, {spec.logits} stores {list(stored.temperatures)}"
        wanted = [*stored.temperatures, spec.temperature]
        instead = f"write temperatures: {wanted} in {spec.logits}"
        yield Problem(where(("stages", name, "temperature")), what, instead)

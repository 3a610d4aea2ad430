"""What can be wrong with a world model beside a policy: nothing to learn from, no adapter, adapters that do not add."""

from collections.abc import Callable, Iterator

from zoo import options
from zoo.errors import Problem
from zoo.refs import StageRef
from zoo.schema import DataSpec, GRPOSpec, Recipe
from zoo.source import Place

__all__ = ["foresight_problems", "world_model_problems"]

At = Callable[..., str]
_UNADDED = ("use_rslora", "use_dora")
"""Of peft's LoraConfig: with these, two adapters are not one of the sum of their ranks."""


def world_model_problems(name: str, spec: GRPOSpec, at: At) -> Iterator[Problem]:
    """Everything that is wrong with one stage's `world_model`."""
    world = spec.world_model
    if world is None:
        return
    if spec.environment is None:
        what = f"{name}: logged steps do not say what was observed next, and a world model learns just that"
        yield Problem(at("world_model"), what, "write environment: {...} in place of data, or leave world_model out")
    if world.adapters == "shared":
        yield from _unused(name, spec, at)
        return
    if spec.lora is None:
        what = f"{name}: with adapters {world.adapters} the policy has one too, and there is no lora"
        yield Problem(at("world_model", "adapters"), what, "write lora: {...} in this stage, or adapters: shared")
    for problem in options.check("peft.LoraConfig", world.lora or {}):
        shown = f"{name}.world_model.lora.{problem.path}".rstrip(".")
        yield Problem(at("world_model", "lora", *problem.path.split(".")), f"{shown}: {problem.message}", problem.hint)
    if world.learning_rate is not None and spec.optimizer is not None:
        what = f"{name}: optimizer: {spec.optimizer.name} puts its matrices into one group, with one rate"
        yield Problem(at("world_model", "learning_rate"), what, "leave learning_rate out, or optimizer")
    for place, given in ((("lora",), spec.lora), (("world_model", "lora"), world.lora)):
        for option in _UNADDED if world.adapters == "together" else ():
            if (given or {}).get(option):
                what = f"{name}: adapters that act together are saved as one, which {option} does not allow"
                yield Problem(at(*place, option), what, f"leave {option} out, or write adapters: apart")


def foresight_problems(recipe: Recipe, where: Callable[[Place], str]) -> Iterator[Problem]:
    """Rows whose completion is an observation: made by no expert, not seen as text, or asked for an action."""
    for name, spec in recipe.stages.items():
        if isinstance(spec, DataSpec):
            yield from _rows_of_observations(name, spec, where)
        if not isinstance(spec, GRPOSpec) or not isinstance(spec.data, StageRef):
            continue
        made = recipe.stages[spec.data.name]
        if isinstance(made, DataSpec) and made.predict == "observation":
            what = f"{name} rewards calls, and the completions of {spec.data} are observations"
            yield Problem(where(("stages", name, "data")), what, "name a data stage with predict: action")


def _rows_of_observations(name: str, spec: DataSpec, where: Callable[[Place], str]) -> Iterator[Problem]:
    if spec.alternatives and spec.predict == "action":
        what = f"{name}: alternatives are of use where their outcome is a row"
        yield Problem(where(("stages", name, "alternatives")), what, "write predict: observation, or leave them out")
    if spec.predict == "observation" and spec.agent.pictures != "none":
        what = f"{name}: what is told is the screen's text, and the agent sees pictures: {spec.agent.pictures}"
        yield Problem(where(("stages", name, "predict")), what, "write agent: {pictures: none} in this stage")


def _unused(name: str, spec: GRPOSpec, at: At) -> Iterator[Problem]:
    assert spec.world_model is not None
    for option in ("lora", "learning_rate"):
        if getattr(spec.world_model, option) is not None:
            what = f"{name}: adapters: shared is one adapter, the stage's, so that world_model.{option} says nothing"
            yield Problem(at("world_model", option), what, "leave it out, or write adapters: together")

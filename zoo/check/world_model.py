"""What can be wrong with a world model beside a policy: nothing to learn from, no adapter, adapters that do not add."""

from collections.abc import Callable, Iterator

from zoo import options
from zoo.errors import Problem
from zoo.schema import GRPOSpec

__all__ = ["world_model_problems"]

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
    for place, given in ((("lora",), spec.lora), (("world_model", "lora"), world.lora)):
        for option in _UNADDED if world.adapters == "together" else ():
            if (given or {}).get(option):
                what = f"{name}: adapters that act together are saved as one, which {option} does not allow"
                yield Problem(at(*place, option), what, f"leave {option} out, or write adapters: apart")


def _unused(name: str, spec: GRPOSpec, at: At) -> Iterator[Problem]:
    assert spec.world_model is not None
    for option in ("lora", "learning_rate"):
        if getattr(spec.world_model, option) is not None:
            what = f"{name}: adapters: shared is one adapter, the stage's, so that world_model.{option} says nothing"
            yield Problem(at("world_model", option), what, "leave it out, or write adapters: together")

"""What of an agent's settings, and of its rewards, the world that it acts in does not know."""

from collections.abc import Iterator

from zoo import registry
from zoo.schema import AgentSpec, DistillSpec, GRPOSpec, StageSpec

__all__ = ["world_problems"]

_OF_TAGS = frozenset({"format"})
"""Rewards of OpenPhone's three tags."""


def world_problems(spec: StageSpec) -> Iterator[tuple[str, str, str]]:
    """Key, what is wrong with it, what to write instead."""
    agent = getattr(spec, "agent", None)
    if not isinstance(agent, AgentSpec):
        return
    if agent.world in registry.DIALECTS:
        yield from _dialect_problems(spec, agent)
    elif agent.pictures != "none" and _learns_in_the_world(spec):
        what = f"pictures: {agent.pictures}, and what is learned from in the world is text alone"
        yield "agent.pictures", what, "write agent: {pictures: none} in this stage"


def _learns_in_the_world(spec: StageSpec) -> bool:
    if isinstance(spec, GRPOSpec):
        return spec.environment is not None
    return isinstance(spec, DistillSpec) and spec.rollouts.source == "world"


def _dialect_problems(spec: StageSpec, agent: AgentSpec) -> Iterator[tuple[str, str, str]]:
    """Of a stage whose agent speaks a dialect of its own."""
    if agent.memory != "none":
        yield (
            "agent.memory", f"memory: {agent.memory}, and {agent.world} shows everything that was said anyway",
            "write agent: {memory: none}",
        )  # fmt: skip
    if agent.pictures != "none":
        what = f"pictures: {agent.pictures}, and {agent.world} has no screen"
        yield "agent.pictures", what, "write agent: {pictures: none}"
    if isinstance(spec, GRPOSpec) and spec.environment:
        for index, reward in enumerate(spec.rewards):
            if reward.name in _OF_TAGS:
                yield (
                    f"rewards.{index}.name", f"{reward.name!r} counts three tags, and {agent.world} has others",
                    "write readable",
                )  # fmt: skip

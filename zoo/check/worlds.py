"""What of an agent's settings, and of its rewards, the world that it acts in does not know."""

from collections.abc import Iterator

from zoo import registry
from zoo.schema import AgentSpec, GRPOSpec, StageSpec

__all__ = ["world_problems"]

_OF_TAGS = frozenset({"format"})
"""Rewards of OpenPhone's three tags."""


def world_problems(spec: StageSpec) -> Iterator[tuple[str, str, str]]:
    """Key, what is wrong with it, what to write instead; for a stage whose agent speaks a dialect of its own."""
    agent = getattr(spec, "agent", None)
    if not isinstance(agent, AgentSpec) or agent.world not in registry.DIALECTS:
        return
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

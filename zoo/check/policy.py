"""What can be wrong with a stage that reinforces: its rewards, its world, sizes and options that do not go together."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from pydantic import ValidationError

from zoo import options, registry
from zoo.check.policy_endpoint import policy_endpoint_problems
from zoo.check.world_model import world_model_problems
from zoo.errors import Problem, did_you_mean
from zoo.schema import GRPOSpec, Hardware
from zoo.source import Place

__all__ = ["policy_problems"]

Where = Callable[[Place], str]
ANSWER_TOKENS = 512
"""TRL's default of `max_completion_length`."""


def policy_problems(
    name: str, spec: GRPOSpec, where: Where, hardware: Hardware | None, *, tiny: bool = False
) -> Iterator[Problem]:
    """Everything that is wrong with one stage by itself."""

    def at(*place: str | int) -> str:
        return where(("stages", name, *place))

    yield from _rewards(name, spec, at)
    yield from _vllm(name, spec, at, hardware)
    yield from _denoised(name, spec, at)
    yield from _capped(name, spec, at)
    if not tiny:  # a twin is cut short, its rewards are not
        yield from _never_overlong(name, spec, at)
    yield from world_model_problems(name, spec, at)
    yield from policy_endpoint_problems(name, spec, at)
    if spec.environment:
        yield from _world(name, spec, at)


def _rewards(name: str, spec: GRPOSpec, at: Callable[..., str]) -> Iterator[Problem]:
    """Names and arguments: each reward is made once here, which needs nothing heavy."""
    table = registry.EPISODE_REWARDS if spec.environment else registry.REWARDS
    for index, reward in enumerate(spec.rewards):
        if reward.name not in table:
            other = registry.REWARDS if spec.environment else registry.EPISODE_REWARDS
            kind = "reward of episodes" if spec.environment else "reward of logged steps"
            what = f"{reward.name!r} is no {kind}" if reward.name in other else f"{reward.name!r} is no reward"
            yield Problem(at("rewards", index, "name"), what, did_you_mean(reward.name, list(table)))
            continue
        try:
            registry.load(table[reward.name])(**reward.options)
        except ValidationError as error:
            yield Problem(
                at("rewards", index, "options"), f"{name}.rewards.{index}: {reward.name}: {_arguments(error)}",
                f"its arguments are those of {table[reward.name].replace(':', '.')}",
            )  # fmt: skip
    names = [reward.name for reward in spec.rewards]
    for index, reward in enumerate(spec.rewards):
        if reward.name in names[:index]:
            yield Problem(at("rewards", index, "name"), f"{reward.name!r} stands there twice", "write one, weighted")


def _arguments(error: ValidationError) -> str:
    """What is wrong with a reward's arguments, in one line."""
    said = [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors(include_url=False)]
    return "; ".join(f"{place}: {what}" if place else what for place, what in said)


def _vllm(name: str, spec: GRPOSpec, at: Callable[..., str], hardware: Hardware | None) -> Iterator[Problem]:
    if not spec.trl.get("use_vllm"):
        return
    if hardware and hardware.device == "cpu":
        yield Problem(at("trl", "use_vllm"), f"{name}: vLLM needs a GPU, and hardware.device is cpu", "leave it out")
    elif hardware is None and find_spec("vllm") is None:
        yield Problem(at("trl", "use_vllm"), f"{name}: vllm is not installed here", "pip install 'trl[vllm]'")


def _denoised(name: str, spec: GRPOSpec, at: Callable[..., str]) -> Iterator[Problem]:
    if spec.denoise is None:
        return
    if spec.denoise.baseline == "leave-one-out" and "scale_rewards" in spec.trl:
        yield Problem(
            at("trl", "scale_rewards"),
            f"{name}: a leave-one-out advantage is not divided by a deviation, so that scale_rewards says nothing",
            "leave it out, or write denoise: {baseline: group}",
        )
    if spec.denoise.baseline == "group" and spec.trl.get("scale_rewards") == "batch" and spec.environment is None:
        what = f"{name}: denoise compares answers within their group"
        yield Problem(at("trl", "scale_rewards"), what, "write group or none")
    if spec.trl.get("multi_objective_aggregation", "sum_then_normalize") != "sum_then_normalize":
        yield Problem(
            at("trl", "multi_objective_aggregation"), f"{name}: denoise sums rewards before it compares", "leave it out"
        )


def _capped(name: str, spec: GRPOSpec, at: Callable[..., str]) -> Iterator[Problem]:
    """CISPO clips the weight itself: at GRPO's bound it would hold nearly every one at 0.2."""
    if spec.trl.get("loss_type") == "cispo" and spec.trl.get("epsilon_high") is None:
        what = f"{name}: cispo caps weights at epsilon_high, which is epsilon, 0.2, where nobody says another"
        yield Problem(at("trl", "loss_type"), what, "write epsilon_high: 5.0")


def _never_overlong(name: str, spec: GRPOSpec, at: Callable[..., str]) -> Iterator[Problem]:
    """A punishment that begins beyond the longest answer."""
    longest = spec.agent.answer_tokens if spec.environment else spec.trl.get("max_completion_length", ANSWER_TOKENS)
    for index, reward in enumerate(spec.rewards):
        most, window = (reward.options.get(option) for option in ("most_tokens", "window_tokens"))
        if reward.name != "overlong" or not isinstance(most, int) or not isinstance(window, int):
            continue
        if isinstance(longest, int) and most - window >= longest:
            what = f"{name}: overlong begins beyond {most - window} tokens, and no answer is longer than {longest}"
            yield Problem(at("rewards", index, "options", "most_tokens"), what, f"write most_tokens: {longest}")


def _world(name: str, spec: GRPOSpec, at: Callable[..., str]) -> Iterator[Problem]:
    assert spec.environment is not None
    if "max_completion_length" in spec.trl:
        yield Problem(
            at("trl", "max_completion_length"), f"{name}: in an environment the agent says how long an answer may be",
            f"write agent: {{answer_tokens: {spec.trl['max_completion_length']}}}",
        )  # fmt: skip
    if spec.trl.get("scale_rewards") == "batch":
        yield Problem(
            at("trl", "scale_rewards"), f"{name}: episodes are compared within their group", "write group or none"
        )
    if spec.trl.get("multi_objective_aggregation", "sum_then_normalize") != "sum_then_normalize":
        yield Problem(
            at("trl", "multi_objective_aggregation"), f"{name}: episodes are scored by one sum", "leave it out"
        )
    if spec.agent.constrained and (spec.trl.get("use_vllm") or spec.trl.get("use_transformers_continuous_batching")):
        engine = "use_vllm" if spec.trl.get("use_vllm") else "use_transformers_continuous_batching"
        yield Problem(
            at("agent", "constrained"), f"{name}: trl.{engine} keeps answers to no grammar of ours",
            f"leave {engine} out, or write agent: {{constrained: false}} in this stage",
        )  # fmt: skip
    if options.grpo_batch_problem(spec.trl):
        return
    if problem := options.grpo_rows_problem(spec.trl, spec.environment.tasks):
        shown = problem.replace("rows", "tasks").replace("limit: ", "tasks: ").replace("the data stage", "environment")
        yield Problem(at("environment", "tasks"), f"{name}: {shown}")

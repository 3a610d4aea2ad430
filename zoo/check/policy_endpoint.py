"""What can be wrong with a policy that answers at an endpoint: nothing to hand over, nothing that it could be told."""

from collections.abc import Callable, Iterator

from zoo.errors import Problem
from zoo.schema import GRPOSpec

__all__ = ["policy_endpoint_problems"]

At = Callable[..., str]
_UNTOLD = ("top_p", "top_k", "min_p", "repetition_penalty", "generation_kwargs", "chat_template_kwargs")
"""Of TRL's options: an endpoint is asked for plain draws at a temperature."""
_OTHER_WAYS = ("use_vllm", "use_transformers_continuous_batching")


def policy_endpoint_problems(name: str, spec: GRPOSpec, at: At) -> Iterator[Problem]:
    """Everything that is wrong with one stage's `endpoint`."""
    if spec.endpoint is None:
        return
    spot = at("endpoint")
    if spec.environment is None:
        what = f"{name}: an endpoint answers in an environment; logged steps are answered by this process, or by vLLM"
        yield Problem(spot, what, "write environment: {...} in place of data, or trl: {use_vllm: true}")
    if spec.lora is None:
        what = f"{name}: what is handed over to an endpoint is an adapter, and without lora all weights change"
        yield Problem(spot, what, "write lora: {...} in this stage, or leave endpoint out")
    if spec.world_model is not None:
        what = f"{name}: beside a world model the policy is no adapter that an endpoint could be given"
        yield Problem(spot, what, "leave endpoint or world_model out")
    if spec.agent.constrained:
        what = f"{name}: an endpoint is not kept to the grammar of each screen here"
        yield Problem(at("agent", "constrained"), what, "write agent: {constrained: false}, or leave endpoint out")
    for option in _UNTOLD:
        if option in spec.trl:
            what = f"{name}: an endpoint is asked for draws at trl.temperature and is not told trl.{option}"
            yield Problem(at("trl", option), what, f"leave {option} out")
    for option in _OTHER_WAYS:
        if spec.trl.get(option):
            yield Problem(at("trl", option), f"{name}: answers come from the endpoint, or by {option}", "keep one")

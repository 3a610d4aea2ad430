"""What reinforcement learning adds to a training stage: rewards, a world, which signal counts, when to stop."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from zoo.schema.settings import Settings

__all__ = ["DenoiseSpec", "DynamicSamplingSpec", "EnvironmentSpec", "GuardSpec", "RewardSpec", "WorldModelSpec"]


class RewardSpec(Settings):
    """One reward and its weight."""

    name: str
    """Its name in `zoo.registry.REWARDS`, or in `EPISODE_REWARDS` where the stage has an `environment`."""
    weight: float = 1.0
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the reward's class."""


class EnvironmentSpec(Settings):
    """Tasks of the agent's world as prompts: the policy acts whole episodes, and every step of them is a sample."""

    split: Literal["train", "held-out-parameters", "held-out-templates", "held-out-app"] = "train"
    """Which tasks. What is evaluated on should not be trained on."""
    tasks: int = Field(100, ge=1)
    """How many tasks are drawn. `per_device_train_batch_size` and `num_generations` of `trl` count episodes."""
    samples: int | None = Field(None, ge=1)
    """Steps of an episode that are trained on, on the average of a batch; beyond that, steps are left out at random. It
    bounds memory: a forward pass has at most `per_device_train_batch_size` times so many rows. Without it, all are."""
    batch: int | None = Field(None, ge=1)
    """Episodes that are acted side by side. Without it, all of a batch are."""
    workers: int = Field(1, ge=1)
    """Threads in which worlds step: for slow worlds, browsers and devices. It changes no result."""


class DynamicSamplingSpec(Settings):
    """DAPO's dynamic sampling (arXiv 2503.14476): groups from which nothing is learned give way to others."""

    oversample: float = Field(1.0, ge=1.0)
    """So many times the groups of a batch are sampled in the first round (DAPO: 3)."""
    rounds: int = Field(3, ge=1)
    """Further rounds at most, each for the groups still missing (DAPO: 10 in all)."""
    by: Literal["score", "success"] = "score"
    """What tells that a group teaches. `score`: its answers are not all worth the same. `success`: besides, some of
    them succeed and some fail, which is DAPO's rule, 0 < correct < `num_generations`: the two differ where rewards tell
    failures apart, by their length for example. A logged step is answered with success when the first of `rewards` is
    above 0.5."""

    @model_serializer(mode="wrap")
    def _later_fields_when_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A field that came after the first keys is written only when it says something, so that keys stay."""
        return {name: value for name, value in write(self).items() if name != "by" or value != "score"}


class DenoiseSpec(Settings):
    """Which answers and steps teach, after the published training code of AgentCPM-Explore (OpenBMB/AgentCPM).

    An episode whose world broke down never counts, with or without this section.
    """

    spread: float = Field(0.1, ge=0)
    """A group whose best and worst scores are nearer than this is dropped."""
    limits: Literal["keep", "exclude"] = "keep"
    """Failures by the limit of length, rounds or time. `keep`: they are failures (AgentCPM's `balance_sample`).
    `exclude`: they count neither in the baseline nor in the gradient (its other branch)."""
    balance: bool = False
    """Whether a group keeps at most one more wrong, and two more right, than the rarer kind of the two has."""
    baseline: Literal["leave-one-out", "group"] = "leave-one-out"
    """`leave-one-out`: the score minus the mean of the others', times `scale`, no division by the deviation. `group`:
    TRL's, by `scale_rewards`."""
    scale: float = Field(2.0, gt=0)
    """What a leave-one-out advantage is multiplied by."""
    signed: bool = True
    """Whether what failed has no advantage above 0 and what succeeded none below. A logged step is answered with
    success when the first of `rewards` is above 0.5."""
    unreadable: bool = True
    """Whether an answer without a readable call has no advantage above 0."""
    repeats: int | None = Field(2, ge=2)
    """From the so-many-th time in a row on, an identical answer has no advantage above 0; null: never."""
    spare_prefix: bool = True
    """Whether the steps of a failed episode up to the last that reached a sub-goal have no advantage below 0."""


class WorldModelSpec(Settings):
    """A world model that learns from the same rollouts: to tell the next observation from the state and the answer."""

    adapters: Literal["together", "apart", "shared"] = "together"
    """`together`: two adapters, the policy's and the world model's, both active in every pass; each loss moves its own
    alone, and whoever acts has both. `apart`: each is active alone, so that the policy is the one that there would be
    without a world model, which comes beside it. `shared`: one adapter (or all weights, without `lora`) learns both."""
    lora: dict[str, Any] | None = None
    """peft's LoraConfig of the world model's adapter, verbatim. Without it, the stage's `lora`."""
    weight: float = Field(1.0, gt=0)
    """What its loss, the mean over tokens of observations, is multiplied by."""
    learning_rate: float | None = Field(None, gt=0)
    """Of its adapter, with the schedule of the policy's. Without it, the policy's."""
    samples: int | None = Field(None, ge=1)
    """Steps of an episode whose next observation is learned, on the average of a batch; beyond that, steps are left out
    at random. Without it, all are: also those of episodes that teach the policy nothing."""


class GuardSpec(Settings):
    """When training is stopped with its last good checkpoint named. A loss that is no number always stops it."""

    window: int = Field(10, ge=2)
    """Optimizer steps that are looked at together."""
    entropy_share: float = Field(0.02, ge=0, lt=1)
    """Entropy has collapsed when it stays below this share of its first window's mean for a whole window, and the
    reward is then no higher than at the start. 0: never."""
    reward_fall: float = Field(0.5, ge=0, le=1)
    """Training has diverged when a window's mean reward has lost this share of the best window's, and lies below the
    first window's by more than two deviations of its steps. 1: never."""
    hacking: Literal["warn", "stop", "off"] = "warn"
    """What happens when a reward rises while success falls, from the window before to the last."""
    hacking_rise: float = Field(0.05, gt=0)
    """How much a reward's mean must have risen."""
    hacking_fall: float = Field(0.05, gt=0)
    """How much success's mean must have fallen."""

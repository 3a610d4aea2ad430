"""Who acts the episodes of a batch: the policy in this process, or behind an endpoint, there one batch ahead too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from zoo.environments import Task
from zoo.errors import ModelError
from zoo.schema import GRPOSpec
from zoo.trainers.ahead import Ahead
from zoo.trainers.groups import Row
from zoo.trainers.policy_endpoint import PolicyEndpoint
from zoo.trainers.rollouts import Rollout, roll_out
from zoo.trainers.speaking import Speaker

__all__ = ["Actor"]


@dataclass
class Actor:
    """`speaker` answers in this process or, where there is an `endpoint`, through it."""

    spec: GRPOSpec
    tasks: Sequence[Task]
    speaker: Speaker
    endpoint: PolicyEndpoint | None
    note: Callable[[str, float], None]
    ahead: Ahead = field(default_factory=Ahead)
    lag: int = 0
    """How many steps older than the trainer's the weights were that acted the last batch; of its rounds, the most."""

    def act(self, rows: Sequence[Row], round_: int) -> list[Rollout]:
        """Episodes of the tasks of these rows; in the first round those that were acted ahead, if any were."""
        made = self.ahead.take() if round_ == 0 else None
        if made is None:
            if self.endpoint:
                self.endpoint.sync_weights()
            made = self._rolled_out(rows)
        if self.endpoint:
            self.lag = max(self.lag, self.endpoint.lag) if round_ else self.endpoint.lag
            self.note("endpoint/lag", self.endpoint.lag)
        return made

    def look_ahead(self, draw: Callable[[], Sequence[Row]]) -> None:
        """Have the next batch acted by the weights of now, where the recipe asks for it."""
        if self.endpoint and self.endpoint.spec.asynchronous:
            self.endpoint.sync_weights()
            self.ahead.start(partial(self._rolled_out, draw()))

    def refuse_strange_weights(self, apart: float, step: int) -> None:
        """An endpoint that has the weights of this very step tells nearly the log-probabilities that the stage finds.

        `apart`: how far they are from each other, in nats, on the mean over a batch's tokens. Raises ModelError.
        """
        if self.endpoint and not self.lag and apart > self.endpoint.spec.strange_nats:
            raise ModelError(
                f"{self.endpoint.spec.url}: tells log-probabilities that lie {apart:.2f} nats from the stage's own, on "
                f"the mean over tokens, with the weights of step {step}: it serves something else; serve the "
                "checkpoint that the stage begins with (vLLM: with --logprobs-mode processed_logprobs), or raise "
                "endpoint.strange_nats where it is merely of another precision"
            )

    def close(self) -> None:
        """Let go of the endpoint's weights, and of what is under way there."""
        if self.endpoint:
            self.endpoint.close()
        self.ahead.close()

    def _rolled_out(self, rows: Sequence[Row]) -> list[Rollout]:
        world = self.spec.environment
        assert world is not None
        tasks = [self.tasks[row["task"]] for row in rows]
        return roll_out(self.spec.agent, tasks, self.speaker, batch=world.batch, workers=world.workers)

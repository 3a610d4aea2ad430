"""One batch of episodes that is acted by an endpoint while the batch before it is learned."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from zoo.trainers.rollouts import Rollout

__all__ = ["Ahead"]


@dataclass
class Ahead:
    """A thread that acts at most one batch. What goes wrong there is raised where the batch is taken."""

    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _under_way: Future[list[Rollout]] | None = None

    def start(self, act: Callable[[], list[Rollout]]) -> None:
        """Begin to act."""
        assert self._under_way is None, "a batch that was begun is taken first"
        self._under_way = self._pool.submit(act)

    def take(self) -> list[Rollout] | None:
        """The episodes, waited for; None when none were begun: at the start, and after a kill."""
        if self._under_way is None:
            return None
        under_way, self._under_way = self._under_way, None
        return under_way.result()

    def close(self) -> None:
        """Begin nothing more; who acts is told so by who answers."""
        self._pool.shutdown(wait=False, cancel_futures=True)

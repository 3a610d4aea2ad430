"""Where a policy's answers come from when an endpoint gives them: who hands the weights over, when, and how they lag.

To TRL it is what vLLM is: something whose weights are synchronised, and whose log-probabilities are corrected by
truncated importance weights. Not covered: several processes, weights that are no adapter, grammars.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

from zoo.answering import endpoint_of, seed_number
from zoo.answering.served import ServedPolicy
from zoo.errors import EnvironmentFailure, ModelError
from zoo.schema import PolicyEndpointSpec
from zoo.trainers.rollouts import Answered
from zoo.trainers.speaking import Asked

__all__ = ["PolicyEndpoint", "check_endpoint", "open_endpoint"]


@dataclass
class PolicyEndpoint:
    """See the module. `step` tells the step whose weights the trainer has, `write` writes them as an adapter."""

    spec: PolicyEndpointSpec
    served: ServedPolicy
    answer_tokens: int
    temperature: float
    seed: int
    step: Callable[[], int]
    write: Callable[[Path], None]
    _asked: int = 0
    _ended: Event = field(default_factory=Event)

    def sync_weights(self) -> None:
        """Hand the weights over when they are due; TRL calls it by this name."""
        version, step = self.served.version, self.step()
        if version is None or step < version or step - version >= self.spec.sync_steps:
            self.served.hand_over(step, self.write)

    @property
    def lag(self) -> int:
        """How many steps older the weights are that it serves."""
        assert self.served.version is not None
        return self.step() - self.served.version

    def generate(self, asked: Sequence[Asked]) -> list[Answered]:
        """Answers of the weights that were handed over last, several at a time. Raises ModelError, see ServedPolicy."""
        self._asked += 1
        place = f"{self.seed} {self.served.version} {self._asked}"  # not the step: that goes on meanwhile
        with ThreadPoolExecutor(self.spec.parallel) as pool:
            return list(pool.map(self._answer, asked, [f"{place} {number}" for number in range(len(asked))]))

    def close(self) -> None:
        """Let go of its weights; whoever still waits for answers gets none."""
        self._ended.set()
        self.served.close()

    def _answer(self, asked: Asked, seed: str) -> Answered:
        if self._ended.is_set():
            raise ModelError(f"{self.spec.url}: nobody waits for this answer any more")
        said = self.served.speak(asked.chat, asked.prompt_ids, self.answer_tokens, self.temperature, seed_number(seed))
        text = self.served.tokenizer.decode(said.token_ids, skip_special_tokens=True)
        return Answered(asked.prompt_ids, said.token_ids, text, said.log_probabilities)


def open_endpoint(
    spec: PolicyEndpointSpec,
    tokenizer: Any,
    stops: Sequence[int],
    answer_tokens: int,
    temperature: float,
    seed: int,
    step: Callable[[], int],
    write: Callable[[Path], None],
) -> PolicyEndpoint:
    """The endpoint that a recipe names; its tokenizer is its own, since it reads while the trainer does."""
    folder = Path(spec.folder).resolve()
    served = ServedPolicy(endpoint_of(spec), folder, uuid4().hex[:8], deepcopy(tokenizer), stops)
    return PolicyEndpoint(spec, served, answer_tokens, temperature, seed, step, write)


def check_endpoint(spec: PolicyEndpointSpec) -> None:
    """Refuse, before weights are loaded, a folder that cannot be written and an endpoint that is not there.

    Raises EnvironmentFailure.
    """
    folder = Path(spec.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise EnvironmentFailure(f"endpoint.folder: {folder}: {error}; name one that this machine can write") from error
    known = _models(spec)
    if spec.model not in known:
        raise EnvironmentFailure(
            f"endpoint.model: {spec.url} serves {', '.join(known) or 'nothing'}, and no {spec.model}; write the name "
            "that it gives to the checkpoint that the stage begins with"
        )


def _models(spec: PolicyEndpointSpec) -> list[str]:
    import httpx2

    try:
        found = endpoint_of(spec).get("/models")
        return [str(one["id"]) for one in found.json()["data"]]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentFailure(
            f"endpoint.url: {spec.url} is not there, or no endpoint: {error!r}; start it first: recipes serve "
            f"CHECKPOINT --adapters {spec.folder}"
        ) from error

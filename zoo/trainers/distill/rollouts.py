"""The student's own answers, for the teacher to score: to the prompts of rows, or on its way through a world.

Every draw has a seed of its own, made of the stage's seed and the place in the run, so that a run that was killed
samples the same again. The turns of a round in a world are kept in a file, since playing takes long. Not covered:
several processes, images.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import torch

from zoo.agent import Situation, chat_of, open_environment, play
from zoo.environments import Closing, Task
from zoo.errors import DataError
from zoo.schema import DistillSpec
from zoo.serving.token_masks import Constrained, TokenMasks
from zoo.trainers.constrained import Grammars
from zoo.trainers.speaking import Asked

__all__ = ["Sampler", "Turn", "WorldTurns", "drawn_tasks", "played"]

_ROUND_NAME = "round-{number:04}.json"


@dataclass(frozen=True)
class Turn:
    """One answer of the student's, in tokens."""

    prompt: list[int]
    answer: list[int]
    """With its stop token, unless it was cut off."""


@dataclass
class Sampler:
    """Samples answers of a model that is being trained; its mode and its random numbers are as before afterwards."""

    model: Any
    tokenizer: Any
    vocabulary: int
    """Tokens beyond the first so many are never said: the teacher does not know them."""
    temperature: float

    def sample(
        self, prompts: Sequence[Sequence[int]], most: int, seed: str, grammars: Sequence[TokenMasks] = ()
    ) -> list[list[int]]:
        """Answers of at most `most` tokens, in order, each kept to its grammar where there are grammars."""
        ids, mask = self._left_padded(prompts)
        with _evaluating(self.model), _seeded(seed, ids.device), torch.no_grad():
            output = self.model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=most, do_sample=True, temperature=self.temperature,
                top_k=0, top_p=1.0, repetition_penalty=1.0, eos_token_id=self.stop, pad_token_id=self._pad,
                suppress_tokens=self._unknown(), use_cache=True,
                logits_processor=[Constrained(grammars, ids.shape[1])] if grammars else None,
            )  # fmt: skip
        return [self._ended(row) for row in output[:, ids.shape[1] :].tolist()]

    @property
    def stop(self) -> int:
        """The token that ends an answer."""
        return int(self.tokenizer.eos_token_id)

    @property
    def _pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        return self.stop if pad is None else int(pad)

    def _unknown(self) -> list[int] | None:
        rows = self.model.get_output_embeddings().weight.shape[0]
        return list(range(self.vocabulary, rows)) or None

    def _ended(self, answer: list[int]) -> list[int]:
        return answer[: answer.index(self.stop) + 1] if self.stop in answer else answer

    def _left_padded(self, prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and mask [B, longest]."""
        width = max(map(len, prompts))
        ids = [[self._pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)


@dataclass
class WorldTurns:
    """The student's turns in the recipe's world, a round of episodes at a time."""

    spec: DistillSpec
    seed: int
    tasks: Sequence[Task]
    """Those of every round, one after another (`drawn_tasks`)."""
    folder: Path
    """Where rounds are kept; survives a kill."""
    positions: int
    """The longest prompt and answer, in tokens."""
    log: logging.Logger
    _turns: dict[int, list[Turn]] = field(default_factory=dict)

    def draw(self, sampler: Sampler, step: int, steps: int, count: int, seed: str) -> list[Turn]:
        """So many turns of the round that a step belongs to; the round is played when it has not been."""
        turns = self._round(step * self.spec.rollouts.rounds // steps, sampler)
        return Random(seed).choices(turns, k=count)

    def _round(self, number: int, sampler: Sampler) -> list[Turn]:
        if number not in self._turns:
            file = self.folder / _ROUND_NAME.format(number=number)
            if not file.is_file():
                self._write(file, self._play(number, sampler))
            kept = json.loads(file.read_text("utf-8"))
            self._turns = {number: [Turn(**turn) for turn in kept["turns"]]}
        return self._turns[number]

    def _write(self, file: Path, kept: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(kept), "utf-8")
        part.replace(file)

    def _play(self, number: int, sampler: Sampler) -> dict[str, Any]:
        answerer = _Answerer(self, sampler, number)
        rollouts = self.spec.rollouts
        first = number * rollouts.tasks
        tasks = self.tasks[first : first + rollouts.tasks]
        episodes = play(self.spec.agent, tasks, answerer, batch=rollouts.batch)
        if not answerer.turns:
            raise DataError(
                f"distill: no prompt of the world fits into the model's {self.positions} tokens; take fewer memory "
                "steps, a shorter answer, or a model with a longer context"
            )
        result = {
            "round": number,
            "episodes": len(episodes),
            "successes": sum(episode.success for episode in episodes),
            "turns": len(answerer.turns),
            "too_long": answerer.too_long,
        }
        self.log.info("round %(round)d: %(episodes)d episodes, %(successes)d solved, %(turns)d answers", result)
        return {"result": result, "turns": [asdict(turn) for turn in answerer.turns]}


def drawn_tasks(spec: DistillSpec, seed: int) -> Sequence[Task]:
    """The tasks of all rounds, drawn at once, so that no round has those of another.

    Raises DataError when the world has not so many.
    """
    rollouts = spec.rollouts
    environment = open_environment(spec.agent)
    try:
        return environment.draw_tasks(rollouts.split, rollouts.tasks * rollouts.rounds, seed)
    except ValueError as error:
        raise DataError(f"distill: {rollouts.rounds} rounds of {rollouts.tasks} tasks are too many: {error}") from error
    finally:
        if isinstance(environment, Closing):
            environment.close()


def played(folder: Path) -> list[dict[str, int]]:
    """What came of each round in a folder: `round`, `episodes`, `successes`, `turns`, and `too_long`, which were not
    asked."""
    return [json.loads(file.read_text("utf-8"))["result"] for file in sorted(folder.glob("round-*.json"))]


@dataclass
class _Answerer:
    """The student as whoever answers in `zoo.agent.play`; keeps its turns."""

    world: WorldTurns
    sampler: Sampler
    number: int
    turns: list[Turn] = field(default_factory=list)
    too_long: int = 0
    _calls: int = 0

    def __call__(self, situations: Sequence[Situation]) -> list[str]:
        agent = self.world.spec.agent
        chats = [chat_of(agent, one, self._count) for one in situations]
        prompts = [self._tokens(chat) for chat in chats]
        # A screen that does not fit is answered by nothing, which costs a step: it is data, not the end of the run.
        fitting = [at for at, prompt in enumerate(prompts) if len(prompt) + agent.answer_tokens <= self.world.positions]
        self.too_long += len(prompts) - len(fitting)
        self._calls += 1
        seed = f"{self.world.seed} world {self.number} {self._calls}"
        chosen = [prompts[at] for at in fitting]
        grammars = [self._grammar(chats[at], prompts[at], situations[at]) for at in fitting if agent.constrained]
        answers = self.sampler.sample(chosen, agent.answer_tokens, seed, grammars) if chosen else []
        self.turns += [Turn(prompt, answer) for prompt, answer in zip(chosen, answers, strict=True)]
        said = {at: self._text(answer) for at, answer in zip(fitting, answers, strict=True)}
        return [said.get(at, "") for at in range(len(prompts))]

    def _grammar(self, chat: Any, prompt: Sequence[int], situation: Situation) -> TokenMasks:
        return self._grammars.of(Asked(chat, tuple(prompt), situation.environment.numbers))

    @cached_property
    def _grammars(self) -> Grammars:
        agent, sampler = self.world.spec.agent, self.sampler
        rows = sampler.model.get_output_embeddings().weight.shape[0]
        return Grammars(agent, sampler.tokenizer, [sampler.stop], rows)

    def _tokens(self, chat: Any) -> list[int]:
        tokenizer = self.sampler.tokenizer
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def _text(self, answer: list[int]) -> str:
        return str(self.sampler.tokenizer.decode(answer, skip_special_tokens=True))

    def _count(self, text: str) -> int:
        return len(self.sampler.tokenizer(text, add_special_tokens=False)["input_ids"])


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Without dropout, and with the cache that gradient checkpointing turns off while training."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@contextmanager
def _seeded(seed: str, device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(Random(seed).getrandbits(62))
        yield

"""TRL's SFTTrainer with the losses of distillation: behaviour, reasoning, a teacher's logits, own answers.

The heads run on answer tokens alone. The loss is the weighted sum over them, divided by their number in the whole
batch, which is counted after answers of the student took the place of rows. Not covered: images, packing, several
processes, evaluation while training.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from zoo.schema import DistillSpec
from zoo.trainers.distill.divergence import against_model, against_stored, beta_of
from zoo.trainers.distill.rollouts import Sampler, Turn, WorldTurns
from zoo.trainers.distill.rows import IGNORED
from zoo.trainers.distill.store import LogitStore
from zoo.trainers.heads import head_of

__all__ = ["Collator", "DistillTrainer", "Teaching"]

_OWN = "own_answer"
_PLAIN = ("input_ids", "attention_mask")


@dataclass
class Collator(DataCollatorForLanguageModeling):  # type: ignore[misc]  # TRL's classes are untyped here
    """TRL's padding, and beside the tokens of each row its number and which of them are reasoning."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Adds `reasoning` [B, T] and `row` [B]; -1 is a row that the student wrote itself."""
        batch: dict[str, Any] = super().torch_call(examples)
        batch["reasoning"] = torch.zeros_like(batch["labels"], dtype=torch.bool)
        for at, example in enumerate(examples):
            batch["reasoning"][at, : len(example["reasoning"])] = torch.tensor(example["reasoning"])
        batch["row"] = torch.tensor([example["row"] for example in examples])
        return batch


@dataclass(frozen=True)
class Teaching:
    """Who teaches, and over which tokens."""

    spec: DistillSpec
    vocabulary: int
    """The first so many tokens are the same to both."""
    teacher: Any = None
    """A model on the trainer's device; None where logits are stored or nobody teaches."""
    store: LogitStore | None = None
    world: WorldTurns | None = None
    """Where the student's own answers come from, unless from the rows."""


class DistillTrainer(SFTTrainer):  # type: ignore[misc]  # TRL's classes are untyped here
    """See the module."""

    def __init__(self, *arguments: Any, teaching: Teaching, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.teaching = teaching
        self._parts: dict[str, list[float]] = defaultdict(list)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """The batches of one optimizer step, some of them the student's own, and how many answer tokens they have."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not self.teaching.spec.lmbda or not batches:
            return batches, items
        batches = [self._perhaps_own(batch, index) for index, batch in enumerate(batches)]
        return batches, sum((batch["labels"][:, 1:] != IGNORED).sum() for batch in batches)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """See the module; the parts of the loss are logged as means over their tokens."""
        causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        targets = inputs["labels"][:, 1:]
        answered = targets != IGNORED
        read = {name: inputs[name] for name in _PLAIN}
        hidden = causal.base_model(**read, use_cache=False).last_hidden_state[:, :-1][answered]
        head = head_of(causal, self.teaching.vocabulary)
        own = bool(inputs["row"][0] < 0)
        logits = None if own else head.logits(hidden)
        total: Any = 0.0
        if not own:
            total = total + self._imitation(logits, targets[answered], inputs["reasoning"][:, 1:][answered])
        if self.teaching.spec.weights.logits:
            total = total + self._taught(inputs, answered, hidden, head, logits)
        self._parts["own_answers"].append(float(own))
        count = answered.sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
        loss = total / count.clamp(min=1)
        return (loss, None) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the parts of the loss since the last entry."""
        means = {name: sum(values) / len(values) for name, values in self._parts.items() if values}
        self._parts.clear()
        super().log({**logs, **means}, start_time)

    def _imitation(self, logits: Any, targets: torch.Tensor, reasoning: torch.Tensor) -> torch.Tensor:
        weights = self.teaching.spec.weights
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        for name, chosen in (("behaviour", ~reasoning), ("chain_of_thought", reasoning)):
            if chosen.any():
                self._parts[name].append(float(losses[chosen].detach().mean()))
        return torch.where(reasoning, weights.chain_of_thought, weights.behaviour).to(losses.dtype).mul(losses).sum()

    def _taught(
        self, inputs: dict[str, Any], answered: torch.Tensor, hidden: torch.Tensor, head: Any, logits: Any
    ) -> torch.Tensor:
        spec = self.teaching.spec
        beta = beta_of(spec.loss, spec.beta)
        if self.teaching.store:
            stored = [self.teaching.store.row(int(number), spec.temperature) for number in inputs["row"]]
            divergence = against_stored(
                logits,
                torch.cat([row.ids for row in stored]).to(logits.device),
                torch.cat([row.log_probabilities for row in stored]).to(logits.device),
                torch.cat([row.log_tail for row in stored]).to(logits.device),
                beta,
                spec.temperature,
            )
        else:
            with torch.no_grad():
                read = {name: inputs[name] for name in _PLAIN}
                known = self.teaching.teacher.base_model(**read, use_cache=False).last_hidden_state[:, :-1][answered]
            teacher = head_of(self.teaching.teacher, self.teaching.vocabulary)
            divergence = against_model(hidden, head, known, teacher, beta, spec.temperature)
        self._parts["divergence"].append(float(divergence.detach().mean()))
        return spec.weights.logits * divergence.sum()

    def _perhaps_own(self, batch: dict[str, Any], index: int) -> dict[str, Any]:
        """A batch of rows, or with the probability `lmbda` as many of the student's own answers."""
        spec, step = self.teaching.spec, self.state.global_step
        seed = f"{self.args.seed} own {step} {index}"
        if Random(seed).random() >= spec.lmbda:
            return batch
        sampler = Sampler(self.model, self.processing_class, self.teaching.vocabulary, spec.rollouts.temperature)
        count = len(batch["labels"])
        if self.teaching.world:
            turns = self.teaching.world.draw(sampler, step, self.state.max_steps, count, seed)
        else:
            prompts = [_prompt(batch, at) for at in range(count)]
            answers = sampler.sample(prompts, spec.rollouts.answer_tokens, seed)
            turns = [Turn(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        return self._batch_of(turns, batch["labels"].device)

    def _batch_of(self, turns: Sequence[Turn], device: torch.device) -> dict[str, Any]:
        examples = [
            {
                "input_ids": [*turn.prompt, *turn.answer],
                "labels": [IGNORED] * len(turn.prompt) + turn.answer,
                "reasoning": [False] * (len(turn.prompt) + len(turn.answer)),
                "row": -1,
            }
            for turn in turns
        ]
        return {name: value.to(device) for name, value in self.data_collator(examples).items()}


def _prompt(batch: dict[str, Any], at: int) -> list[int]:
    """The tokens of a row before its first answer."""
    first = int((batch["labels"][at] != IGNORED).nonzero()[0])
    return list(batch["input_ids"][at, :first].tolist())

"""A policy and a world model that learn from the same episodes, in adapters of their own: dual LoRA.

The policy learns by the losses of `zoo.trainers.policy_trainer`, the world model by the negative log-likelihood of the
next observation, given what the agent was asked and what it answered. The two backwards are separate: one over their
sum would, under activation checkpointing, compute the first loss's activations again with the second's adapter. Each
gradient is clipped by itself. What may act and what learns is `zoo.schema.WorldModelSpec.adapters`. Not covered:
several processes, screenshots, the observation that an episode's last step led to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from zoo.errors import ModelError
from zoo.prompt import foresight
from zoo.schema import WorldModelSpec
from zoo.trainers import loading
from zoo.trainers.batches import Batch
from zoo.trainers.heads import logits_of
from zoo.trainers.policy_trainer import PolicyTrainer
from zoo.trainers.rollouts import Rollout

__all__ = ["ADAPTERS_FOLDER", "Told", "WorldModelTrainer", "told", "write_adapters"]

ADAPTERS_FOLDER = "adapters"
"""Beside the checkpoint: the adapters one by one, `policy` and `world`."""

_POLICY, _WORLD = "default", "world"
_IGNORED = -100


@dataclass(frozen=True)
class Told:
    """An observation to be told, and after what."""

    prompt_ids: tuple[int, ...]
    target_ids: tuple[int, ...]


class WorldModelTrainer(PolicyTrainer):
    """See the module. `world_lora` is peft's config of the world model's adapter; None when adapters are shared."""

    def __init__(self, *args: Any, world_lora: Any = None, **options: Any) -> None:
        super().__init__(*args, **options)
        assert self.spec.world_model is not None
        self.world: WorldModelSpec = self.spec.world_model
        if self.accelerator.num_processes > 1:
            raise ModelError("a world model learns in one process only; launch one, or leave `world_model` out")
        self._told: list[Told] = []
        self._asked, self._ends = _question(self.processing_class), self.eos_token_ids[0]
        if world_lora is not None:
            with torch.random.fork_rng():  # what the policy draws is what it would draw without a world model
                torch.manual_seed(self.args.seed)
                self._bare_model().add_adapter(_WORLD, world_lora)
            self._turn(None)

    def create_optimizer(self, model: Any = None) -> Any:
        """TRL's, with the world model's parameters in a group of their own where they have a rate of their own."""
        self._turn(None)  # a checkpoint that was loaded has frozen one of the adapters
        optimizer = super().create_optimizer(model)
        if self.world.learning_rate is not None and self.world.adapters != "shared":
            _set_rate(optimizer, self._parameters(_WORLD), self.world.learning_rate)
        return optimizer

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """The policy's backward, then the world model's; the policy's loss."""
        self._turn(_POLICY)
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        self._turn(_WORLD)
        with torch.random.fork_rng():
            self._learn_world(self._share_of_step())
        self._turn(None)
        return loss

    def _generate_and_score_completions(self, inputs: list[Mapping[str, Any]]) -> Batch:
        batch = super()._generate_and_score_completions(inputs)
        every = [one for seen in self._seen for one in told(seen.rollout, self._observation_ids, self.positions)]
        rng, most = self._rng("told"), len(inputs) * (self.world.samples or 0)
        self._told = rng.sample(every, min(len(every), most or len(every)))
        return batch

    def _clip_grad_norm(self, model: Any) -> torch.Tensor:
        """Each by itself, so that a surprised world model does not shorten the policy's step; the policy's norm."""
        if self.world.adapters == "shared":
            shared: torch.Tensor = super()._clip_grad_norm(model)
            return shared
        most = self.args.max_grad_norm
        self.accelerator.clip_grad_norm_(self._parameters(_WORLD), most)
        norm: torch.Tensor = self.accelerator.clip_grad_norm_(self._parameters(_POLICY), most)
        return norm

    def _share_of_step(self) -> list[Told]:
        """The part of a generation's observations that falls to the step just made."""
        parts = self.args.steps_per_generation
        return self._told[(self._step - 1) % parts :: parts]

    def _learn_world(self, chosen: Sequence[Told]) -> None:
        tokens = sum(len(one.target_ids) for one in chosen)
        rows, total, hits = self.args.per_device_train_batch_size, 0.0, 0
        for start in range(0, len(chosen), rows):
            nats, right = self._loss(chosen[start : start + rows])
            share = self.world.weight / tokens / self.current_gradient_accumulation_steps
            self.accelerator.backward(share * nats)
            total, hits = total + float(nats.detach()), hits + right
        if tokens:
            self._note("world/nll", total / tokens)
            self._note("world/exact", hits / tokens)
        self._note("world/tokens", tokens)

    def _loss(self, chosen: Sequence[Told]) -> tuple[torch.Tensor, int]:
        """The summed negative log-likelihood of the observations' tokens, and how many were the most likely."""
        width = max(len(one.prompt_ids) + len(one.target_ids) for one in chosen)
        ids = torch.full((len(chosen), width), self._tokenizer.pad_token_id)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, _IGNORED)
        for row, one in enumerate(chosen):
            end = len(one.prompt_ids) + len(one.target_ids)
            ids[row, :end] = torch.tensor([*one.prompt_ids, *one.target_ids])
            mask[row, :end] = 1
            labels[row, len(one.prompt_ids) : end] = ids[row, len(one.prompt_ids) : end]
        ids, mask, labels = (part.to(self.accelerator.device) for part in (ids, mask, labels))
        wanted = labels[:, 1:] != _IGNORED
        model = self._bare_model()
        causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        with self.compute_loss_context_manager():
            # The head on what counts alone, and at temperature 1, whatever the policy samples with.
            hidden = causal.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            logits = logits_of(causal, hidden[:, :-1][wanted])
            nats = cross_entropy(logits, labels[:, 1:][wanted], reduction="sum")
        return nats, int((logits.argmax(-1) == labels[:, 1:][wanted]).sum())

    def _observation_ids(self, observation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The question that stands between an answer and the observation, and the observation with its end."""
        return self._asked, (*self._tokenizer(observation, add_special_tokens=False)["input_ids"], self._ends)

    def _turn(self, learner: str | None) -> None:
        """Whose adapter learns; None between steps: the policy can act, and every adapter counts as trained."""
        if self.world.adapters == "shared":
            return
        acting = _WORLD if learner == _WORLD else _POLICY
        model = self._bare_model()
        model.base_model.set_adapter([_POLICY, _WORLD] if self.world.adapters == "together" else acting)
        for name in (_POLICY, _WORLD):
            model.set_requires_grad(name, learner in (None, name))
        if self.spec.freeze:
            loading.freeze(model, self.spec.freeze)

    def _parameters(self, adapter: str) -> list[torch.nn.Parameter]:
        named = self._bare_model().named_parameters()
        return [parameter for name, parameter in named if f".{adapter}." in name or name.endswith(f".{adapter}")]

    def _bare_model(self) -> Any:
        return self.accelerator.unwrap_model(self.model)


def told(rollout: Rollout, encode: Any, positions: int) -> Iterator[Told]:
    """The observations that the steps of an episode led to; `encode` gives the tokens of the question and of one.

    Left out: what the last step led to, which nobody looked at, and what is longer than `positions`.
    """
    for answer, after in zip(rollout.answers, rollout.episode.steps[1:], strict=False):
        question, target = encode(after.observation)
        # An answer that was cut off has no end; the question begins with it.
        said = answer.completion_ids[:-1] if answer.completion_ids[-1:] == question[:1] else answer.completion_ids
        one = Told((*answer.prompt_ids, *said, *question), target)
        if answer.completion_ids and len(one.prompt_ids) + len(target) <= positions:
            yield one


def write_adapters(model: Any, spec: WorldModelSpec, folder: Any) -> str:
    """Write both adapters below `adapters/`, each by itself; the name of the one that acts.

    Where both act, it is a new one of the sum of their ranks, whose product is the sum of theirs.
    """
    if spec.adapters == "shared":
        return _POLICY
    for name, label in ((_POLICY, "policy"), (_WORLD, "world")):
        loading.write_adapter(model, folder / ADAPTERS_FOLDER / label, name)
    if spec.adapters == "apart":
        return _POLICY
    model.base_model.add_weighted_adapter([_POLICY, _WORLD], [1.0, 1.0], loading.ADAPTER_FOLDER, "cat")
    return loading.ADAPTER_FOLDER


def _question(processor: Any) -> tuple[int, ...]:
    """The tokens from the end of an answer to the beginning of an observation, as the chat template has them."""
    mark = "\u2020\u2020"
    text = processor.apply_chat_template(
        foresight([{"role": "user", "content": "?"}], mark), tokenize=False, add_generation_prompt=True
    )
    tokenizer = getattr(processor, "tokenizer", processor)
    return tuple(tokenizer(text.partition(mark)[2], add_special_tokens=False)["input_ids"])


def _set_rate(optimizer: Any, parameters: Sequence[torch.nn.Parameter], rate: float) -> None:
    """Move parameters into a group with a learning rate of its own."""
    chosen = {id(parameter) for parameter in parameters}
    for group in list(optimizer.param_groups):
        moved = [one for one in group["params"] if id(one) in chosen]
        if moved:
            group["params"] = [one for one in group["params"] if id(one) not in chosen]
            optimizer.add_param_group({**group, "params": moved, "lr": rate})

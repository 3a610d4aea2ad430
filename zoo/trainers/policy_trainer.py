"""TRL's GRPOTrainer with dynamic sampling, denoised advantages and episodes: its private methods, overridden.

This is the one module that does; a test holds the digest of what it rests on. A batch of answers to logged steps is
TRL's own, with groups replaced (`dynamic_sampling`) and advantages recomputed (`denoise`). A batch of episodes is acted
here and then handed to TRL as one completion a step; answers that a grammar keeps are learned under it too. What is
drawn here is drawn from the seed and the step, so that a run that goes on from a checkpoint draws the same. Several
processes: decisions are gathered, each process has whole groups. Not covered: episodes under FSDP, ZeRO-3 or vLLM over
several processes, whose calls must stay in step.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from statistics import mean
from time import perf_counter
from typing import Any

import torch
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation

from zoo.environments import Task
from zoo.errors import ModelError
from zoo.schema import GRPOSpec
from zoo.trainers import batches, episode_log, loading
from zoo.trainers.acting import Actor
from zoo.trainers.advantages import Attempt, Credit, Scale, credited, spread
from zoo.trainers.batches import Batch
from zoo.trainers.constrained import Grammars, generated_under
from zoo.trainers.episode_samples import Sample, bounded, filled, handed_out
from zoo.trainers.groups import Group, Row, Sampling, group_of_answers, group_of_episodes
from zoo.trainers.judged import Judged, judged
from zoo.trainers.logged_answers import LoggedAnswer, logged_answers
from zoo.trainers.masked_chances import bits_of, masked_chances, widened
from zoo.trainers.policy_endpoint import open_endpoint
from zoo.trainers.policy_sizes import refuse_calls_out_of_step, refuse_split_groups
from zoo.trainers.rollouts import Answered
from zoo.trainers.speaking import Asked, Speaker
from zoo.trainers.together import Together

__all__ = ["Keep", "PolicyTrainer"]

Keep = Callable[[int, int, Sequence[Mapping[str, Any]]], None]
"""Told the number of a step, that of the last, and what was answered for it, as plain data."""

_REASONS = ("errors", "flat", "limits", "unbalanced", "unreadable", "repeated", "spared")
_NOTHING: Row = {"prompt": [{"role": "user", "content": ""}]}


class PolicyTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL's classes are untyped here
    """See the module. `tasks` are those of `spec.environment`, in the order of the dataset's column `task`."""

    def __init__(
        self,
        *args: Any,
        spec: GRPOSpec,
        tasks: Sequence[Task] = (),
        positions: int = 0,
        readable: Callable[[str], bool] = bool,
        keep: Keep = lambda step, last, rows: None,
        **options: Any,
    ) -> None:
        """`positions`: the longest sequence of the model. `readable`: whether an answer to a logged step is one."""
        if spec.environment:
            options["rollout_func"] = self._hand_out
            # That it may change is why a test holds its digest.
            warnings.filterwarnings("ignore", message="You are using 'rollout_func'")
        super().__init__(*args, **options)
        self.num_generations: int
        self.spec, self.positions = spec, positions
        self.readable, self.keep = readable, keep
        self._together = Together(self.accelerator)
        self._sampling = self._new_sampling()
        self._handed: list[Sample] = []
        self._grammars = self._grammars_of(spec)
        self._actor = self._actor_of(spec, tasks)
        self._allowed: torch.Tensor | None = None
        self._answers: list[LoggedAnswer] = []
        self._denoised: Counter[str] = Counter()
        self._by = spec.dynamic_sampling.by if spec.dynamic_sampling else "score"
        self._seen: list[Judged] = []
        refuse_split_groups(self)
        refuse_calls_out_of_step(self)

    def _generate_and_score_completions(self, inputs: list[Row]) -> Batch:
        self._seen, self._sampling, self._denoised = [], self._new_sampling(), Counter()
        started = perf_counter()
        batch = self._episodes(inputs) if self.spec.environment else self._logged_steps(inputs)
        for reason in _REASONS if self.spec.denoise else ():
            self._note(f"denoise/{reason}", self._together.total(self._denoised[reason]))
        self._note("samples_per_second", len(batch["advantages"]) / (perf_counter() - started))
        self._look_ahead(len(inputs))
        return batch

    def close(self) -> None:
        """Let go of what lies elsewhere."""
        self._actor.close()

    def _calculate_rewards(
        self, inputs: list[Row], prompts: list[Any], completions: list[Any], completion_ids: list[list[int]]
    ) -> torch.Tensor:
        """TRL's, remembered; of episodes, which are scored as wholes, zeros in TRL's shape."""
        if self.spec.environment:
            count = len(prompts) * self.accelerator.num_processes
            return torch.zeros(count, len(self.reward_funcs), device=self.accelerator.device)
        rewards: torch.Tensor = super()._calculate_rewards(inputs, prompts, completions, completion_ids)
        mine = self.accelerator.process_index * len(prompts)
        local, ends = rewards[mine : mine + len(prompts)].cpu(), {*self.eos_token_ids, self._tokenizer.pad_token_id}
        self._answers = logged_answers(completions, completion_ids, local, self.reward_weights, ends)
        rows = zip(self._answers, inputs, prompts, strict=True)
        self._keep_rows([one.plain(row, prompt, self.reward_func_names) for one, row, prompt in rows])
        return rewards

    def _logged_steps(self, inputs: list[Row]) -> Batch:
        if self.spec.denoise is None and self.spec.dynamic_sampling is None:
            whole: Batch = super()._generate_and_score_completions(inputs)
            scores, size = [one.score for one in self._answers], self.num_generations
            if len(scores) % size == 0:
                chunks = [scores[start : start + size] for start in range(0, len(scores), size)]
                self._note("group_spread", mean(spread(chunk) for chunk in chunks))
            return whole
        groups = self._sampling.groups(inputs, self.num_generations, self._answered, self._drawn)
        batch = batches.silenced(
            batches.joined([group.batch for group in groups if group.batch], self._tokenizer.pad_token_id)
        )
        mask = batch["completion_mask"] * batch.get("tool_mask", 1)
        batch["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
        self._note("samples/trained", self._together.total(int((batch["advantages"] != 0).sum())))
        return batch

    def _answered(self, inputs: Sequence[Row]) -> list[Group]:
        """TRL's answers to these rows, group by group."""
        whole: Batch = super()._generate_and_score_completions(list(inputs))
        size = self.num_generations
        attempts = [one.attempt(self.readable) for one in self._answers]
        credit = self._credit if self.spec.denoise else None
        return [
            group_of_answers(batch, attempts[number * size : (number + 1) * size], credit, self._by)
            for number, batch in enumerate(batches.parts(whole, size))
        ]

    def _episodes(self, inputs: list[Row]) -> Batch:
        groups = self._sampling.groups(inputs, self.num_generations, self._acted, self._drawn)
        self._handed = self._fitting([sample for group in groups for sample in group.samples], len(inputs))
        if self._grammars:
            self._allowed = bits_of([one.answer for one in self._handed], self._grammars.mask_bytes)
        # TRL's groups mean nothing here: rows are steps of episodes whose advantage is known.
        size, self.num_generations = self.num_generations, 1
        try:
            batch: Batch = super()._generate_and_score_completions([dict(_NOTHING) for _ in self._handed])
        finally:
            self.num_generations = size
        batch["advantages"] = torch.tensor([one.advantage for one in self._handed]).to(batch["advantages"])
        if self._allowed is not None:
            batch["allowed"], self._allowed = self._allowed, None
        self._note_episodes(groups)
        apart = self._metrics["train"].get("sampling/sampling_logp_difference/mean")
        self._actor.refuse_strange_weights(apart[-1] if apart else 0.0, self.state.global_step)
        return batch

    def _compute_loss(self, model: Any, inputs: Batch) -> torch.Tensor:
        """TRL's, under what was allowed at each token."""
        self._allowed = inputs.get("allowed")
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        self._allowed = None
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **options: Any,
    ) -> tuple[Any, Any, Any]:
        """TRL's; of answers that were kept to a grammar, those under the grammar."""
        if self._allowed is None:
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]  # TRL has no types
                model, input_ids, attention_mask, logits_to_keep, batch_size, **options
            )
        allowed, rows = widened(self._allowed, logits_to_keep).to(input_ids.device), batch_size or len(input_ids)
        with self.accelerator.autocast():
            found = masked_chances(model, input_ids, attention_mask, allowed, self.temperature, rows)
        return (*found, None)

    def _acted(self, inputs: Sequence[Row]) -> list[Group]:
        """Episodes of these tasks, group by group."""
        made = self._actor.act(inputs, self._sampling.round)
        seen = judged(made, self.reward_funcs, self.reward_weights.tolist())
        self._keep_rows([one.plain(self.reward_func_names) for one in seen])
        self._seen += seen
        size = self.num_generations
        starts = range(0, len(seen), size)
        return [group_of_episodes(seen[start : start + size], self._credit, self._by) for start in starts]

    def _look_ahead(self, episodes: int) -> None:
        """Begin the next batch where it is acted elsewhere, unless this one is the last."""
        every = self.args.steps_per_generation * self.num_iterations / self.args.gradient_accumulation_steps
        if self.state.global_step + math.ceil(every) < self.state.max_steps:
            dynamic = self.spec.dynamic_sampling
            groups = math.ceil(episodes // self.num_generations * (dynamic.oversample if dynamic else 1.0))
            self._actor.look_ahead(lambda: self._drawn(groups, "ahead"))

    def _credit(self, attempts: Sequence[Attempt]) -> Credit:
        scale: Scale = "none" if self.scale_rewards == "none" else "group"
        credit = credited(attempts, self.spec.denoise, self._rng("credit"), scale)
        self._denoised.update(credit.counts)
        return credit

    def _generated(self, asked: Sequence[Asked]) -> list[Answered]:
        """By TRL's own ways: `generate`, continuous batches, vLLM."""
        ids, chances = self._generate_single_turn([list(one.prompt_ids) for one in asked], None, {}, 1)
        texts = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        told = [None] * len(ids) if chances is None else [tuple(one) for one in chances]
        rows = zip(asked, ids, texts, told, strict=True)
        return [Answered(one.prompt_ids, tuple(answer), text, chance) for one, answer, text, chance in rows]

    def _generated_under_grammars(self, asked: Sequence[Asked]) -> list[Answered]:
        """As TRL generates where it has no other engine, each answer kept to its grammar."""
        assert self._grammars is not None
        unwrapped = unwrap_model_for_generation(
            self.model_wrapped, self.accelerator, generation_kwargs=self.generation_kwargs,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        )  # fmt: skip
        with unwrapped as model:
            return generated_under(self._grammars, model, self.generation_config, self._tokenizer, asked)

    def _hand_out(self, prompts: Sequence[Any], trainer: Any) -> dict[str, Any]:
        """TRL's `rollout_func`: the steps that were chosen."""
        return handed_out(self._handed, self.use_vllm)

    def _fitting(self, samples: Sequence[Sample], episodes: int) -> list[Sample]:
        """At most as many as memory was set for, filled up to what TRL can split, alike in every process."""
        world = self.spec.environment
        assert world is not None
        chosen = bounded(samples, episodes * world.samples if world.samples else None, self._rng("samples"))
        self._note("samples/trained", self._together.total(len(chosen)))
        self._note("samples/left_out", self._together.total(len(samples) - len(chosen)))
        most = self._together.most(len(chosen))
        return filled(chosen, most, self.args.steps_per_generation, self.eos_token_ids[0])

    def _drawn(self, groups: int, what: str = "rows") -> list[Row]:
        """Rows of the dataset, each repeated for its group."""
        rng, count = self._rng(what), len(self.train_dataset)
        numbers = rng.sample(range(count), groups) if groups <= count else rng.choices(range(count), k=groups)
        return [dict(self.train_dataset[number]) for number in numbers for _ in range(self.num_generations)]

    def _grammars_of(self, spec: GRPOSpec) -> Grammars | None:
        if not spec.environment or not spec.agent.constrained:
            return None
        if self.aux_loss_enabled:
            raise ModelError("agent.constrained: the balance loss of a mixture of experts is not covered; leave it out")
        size = self.model.get_output_embeddings().weight.shape[0]
        return Grammars(spec.agent, self._tokenizer, self.eos_token_ids, size)

    def _actor_of(self, spec: GRPOSpec, tasks: Sequence[Task]) -> Actor:
        endpoint = None
        if spec.endpoint:
            endpoint = open_endpoint(
                spec.endpoint, self._tokenizer, self.eos_token_ids, self.max_completion_length, self.temperature,
                self.args.seed, lambda: self.state.global_step,
                lambda folder: loading.write_adapter(self.accelerator.unwrap_model(self.model), folder),
            )  # fmt: skip
            # To TRL it is vLLM: corrections for what was sampled elsewhere are switched by this.
            self.use_vllm, self.vllm_generation, self._last_loaded_step = True, endpoint, -1
        generate = self._generated_under_grammars if self._grammars else self._generated
        speaker = Speaker(
            endpoint.served.tokenizer if endpoint else self._tokenizer,
            self.processing_class.chat_template,
            self.positions - self.max_completion_length,
            endpoint.generate if endpoint else generate,
        )
        return Actor(spec, tasks, speaker, endpoint, self._note)

    def _new_sampling(self) -> Sampling:
        return Sampling(self.spec.dynamic_sampling, self._together, self._note)

    def _rng(self, what: str) -> Random:
        """Randomness that a checkpoint need not hold."""
        window = self._step % self.args.gradient_accumulation_steps
        process = self.accelerator.process_index
        place = f"{self.state.global_step} {window} {self._sampling.round} {process}"
        return Random(f"{self.args.seed} {what} {place}")

    def _keep_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._sampling.round == 0 and self.accelerator.is_main_process:
            self.keep(self.state.global_step + 1, self.state.max_steps, rows)

    def _note_episodes(self, groups: Sequence[Group]) -> None:
        """What TRL logged of rewards was of rows without one: in its place, of episodes, over all processes."""
        facts = self._together.rows([one.facts for one in self._seen])
        silent = self._together.mean([float(not group.teaches) for group in groups])
        replaced = {**episode_log.of_rewards(facts, self.reward_func_names), "frac_reward_zero_std": silent}
        for name, value in replaced.items():
            self._metrics["train"][name][-1] = value
        for name, value in episode_log.of_episodes(facts).items():
            self._note(name, value)

    def _note(self, name: str, value: float) -> None:
        self._metrics["train"][name].append(float(value))

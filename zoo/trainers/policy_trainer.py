"""TRL's GRPOTrainer with dynamic sampling, denoised advantages and episodes: its private methods, overridden.

This is the one module that does; a test holds the digest of what it rests on. A batch of answers to logged steps is
TRL's own, with groups replaced (`dynamic_sampling`) and advantages recomputed (`denoise`). A batch of episodes is acted
here and then handed to TRL as one completion a step. Whatever is drawn here is drawn from the seed and the step, so
that a run that goes on from a checkpoint draws the same. Several processes: decisions are gathered, each process has
whole groups. Not covered: episodes under FSDP, ZeRO-3 or vLLM over several processes, whose calls must stay in step.
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

from zoo.agent import Chat
from zoo.environments import Task
from zoo.errors import ModelError
from zoo.schema import GRPOSpec
from zoo.trainers import batches, episode_log, rollouts
from zoo.trainers.advantages import Attempt, Credit, Scale, credited, spread
from zoo.trainers.batches import Batch
from zoo.trainers.groups import Group, Row, Sampling
from zoo.trainers.judged import Judged, judged
from zoo.trainers.logged_answers import LoggedAnswer, logged_answers
from zoo.trainers.rollouts import Answered
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
        self.spec, self.tasks, self.positions = spec, tasks, positions
        self.readable, self.keep = readable, keep
        self._together = Together(self.accelerator)
        self._sampling = self._new_sampling()
        self._handed: list[tuple[Answered, float]] = []
        self._answers: list[LoggedAnswer] = []
        self._denoised: Counter[str] = Counter()
        self._seen: list[Judged] = []
        self._refuse_split_groups()
        self._refuse_calls_out_of_step()

    def _generate_and_score_completions(self, inputs: list[Row]) -> Batch:
        self._seen, self._sampling, self._denoised = [], self._new_sampling(), Counter()
        started = perf_counter()
        batch = self._episodes(inputs) if self.spec.environment else self._logged_steps(inputs)
        for reason in _REASONS if self.spec.denoise else ():
            self._note(f"denoise/{reason}", self._together.total(self._denoised[reason]))
        self._note("samples_per_second", len(batch["advantages"]) / (perf_counter() - started))
        return batch

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
        groups = []
        for number, batch in enumerate(batches.parts(whole, size)):
            attempts = [one.attempt(self.readable) for one in self._answers[number * size : (number + 1) * size]]
            distance = spread([attempt.score for attempt in attempts if attempt.score is not None])
            if self.spec.denoise:
                credit = self._credit(attempts)
                batch["advantages"] = torch.tensor([one for (one,) in credit.advantages]).to(whole["advantages"])
            teaches = distance > 1e-6 and bool((batch["advantages"] != 0).any())
            if not teaches:  # rounding leaves a rest of a thousandth where all scores are the same
                batch["advantages"] = torch.zeros_like(batch["advantages"])
            groups.append(Group(distance, teaches, batch))
        return groups

    def _episodes(self, inputs: list[Row]) -> Batch:
        groups = self._sampling.groups(inputs, self.num_generations, self._acted, self._drawn)
        samples = [sample for group in groups for sample in group.samples]
        self._handed = self._fitting(samples, len(inputs))
        # TRL's groups mean nothing here: rows are steps of episodes whose advantage is known.
        size, self.num_generations = self.num_generations, 1
        try:
            batch: Batch = super()._generate_and_score_completions([dict(_NOTHING) for _ in self._handed])
        finally:
            self.num_generations = size
        batch["advantages"] = torch.tensor([advantage for _, advantage in self._handed]).to(batch["advantages"])
        self._note_episodes(groups)
        return batch

    def _acted(self, inputs: Sequence[Row]) -> list[Group]:
        """Episodes of these tasks, group by group."""
        world = self.spec.environment
        assert world is not None
        tasks = [self.tasks[row["task"]] for row in inputs]
        made = rollouts.roll_out(self.spec.agent, tasks, self._sample, batch=world.batch, workers=world.workers)
        seen = judged(made, self.reward_funcs, self.reward_weights.tolist())
        self._keep_rows([one.plain(self.reward_func_names) for one in seen])
        self._seen += seen
        size = self.num_generations
        return [self._group(seen[start : start + size]) for start in range(0, len(seen), size)]

    def _group(self, seen: Sequence[Judged]) -> Group:
        credit = self._credit([rollouts.attempt(one.rollout, one.score) for one in seen])
        samples = tuple(
            (answer, advantage)
            for one, advantages in zip(seen, credit.advantages, strict=True)
            for answer, advantage in zip(one.rollout.answers, advantages, strict=True)
            if advantage and answer.completion_ids
        )
        distance = spread([one.score for one in seen if one.score is not None])
        return Group(distance, bool(samples), samples=samples)

    def _credit(self, attempts: Sequence[Attempt]) -> Credit:
        scale: Scale = "none" if self.scale_rewards == "none" else "group"
        credit = credited(attempts, self.spec.denoise, self._rng("credit"), scale)
        self._denoised.update(credit.counts)
        return credit

    def _sample(self, chats: Sequence[Chat]) -> list[Answered]:
        """The policy's answers; an empty one where prompt and answer would be longer than the model."""
        prompts = self._tokenizer.apply_chat_template(
            list(chats), chat_template=self.processing_class.chat_template, add_generation_prompt=True, return_dict=True
        )["input_ids"]
        fits = [len(prompt) + self.max_completion_length <= self.positions for prompt in prompts]
        short = [prompt for prompt, fitting in zip(prompts, fits, strict=True) if fitting]
        ids, sampled = self._generate_single_turn(short, None, {}, 1) if short else ([], None)
        texts = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        chances = [tuple(one) for one in sampled] if sampled is not None else [None] * len(ids)
        answered = iter(zip(ids, texts, chances, strict=True))
        return [
            Answered(tuple(prompt), *_reordered(next(answered))) if fitting else Answered(tuple(prompt), (), "")
            for prompt, fitting in zip(prompts, fits, strict=True)
        ]

    def _hand_out(self, prompts: Sequence[Any], trainer: Any) -> dict[str, Any]:
        """TRL's `rollout_func`: the steps that were chosen, with a mask that is 0 where a row only fills the batch."""
        answers = [answer for answer, _ in self._handed]
        chances = [answer.log_probabilities for answer in answers]
        return {
            "prompt_ids": [list(answer.prompt_ids) for answer in answers],
            "completion_ids": [list(answer.completion_ids) for answer in answers],
            "logprobs": None if all(one is None for one in chances) else [list(one or (0.0,)) for one in chances],
            "env_mask": [[int(bool(advantage))] * len(answer.completion_ids) for answer, advantage in self._handed],
        }

    def _fitting(self, samples: list[tuple[Answered, float]], episodes: int) -> list[tuple[Answered, float]]:
        """At most as many as memory was set for, filled up to what TRL can split, alike in every process."""
        world = self.spec.environment
        assert world is not None
        most = episodes * world.samples if world.samples else len(samples)
        chosen = samples
        if len(samples) > most:
            chosen = [samples[number] for number in sorted(self._rng("samples").sample(range(len(samples)), most))]
        self._note("samples/trained", self._together.total(len(chosen)))
        self._note("samples/left_out", self._together.total(len(samples) - len(chosen)))
        split = self.args.steps_per_generation
        rows = max(1, math.ceil(self._together.most(len(chosen)) / split)) * split
        end = self.eos_token_ids[0]
        return [*chosen, *[(Answered((end,), (end,), ""), 0.0)] * (rows - len(chosen))]

    def _drawn(self, groups: int) -> list[Row]:
        """Rows of the dataset, each repeated for its group."""
        rng, count = self._rng("rows"), len(self.train_dataset)
        numbers = rng.sample(range(count), groups) if groups <= count else rng.choices(range(count), k=groups)
        return [dict(self.train_dataset[number]) for number in numbers for _ in range(self.num_generations)]

    def _new_sampling(self) -> Sampling:
        return Sampling(self.spec.dynamic_sampling, self._together, self._note)

    def _rng(self, what: str) -> Random:
        """Randomness that a checkpoint need not hold."""
        window = self._step % self.args.gradient_accumulation_steps
        process = self.accelerator.process_index
        place = f"{self.state.global_step} {window} {self._sampling.round} {process}"
        return Random(f"{self.args.seed} {what} {place}")

    def _refuse_split_groups(self) -> None:
        local = self.args.per_device_train_batch_size * self.args.steps_per_generation
        ours = self.spec.environment or self.spec.denoise or self.spec.dynamic_sampling
        if ours and local % self.num_generations:
            raise ModelError(
                f"each process generates {local} answers, and groups of num_generations {self.num_generations} would "
                "be split over processes; write sizes whose product is a multiple of it"
            )

    def _refuse_calls_out_of_step(self) -> None:
        """Episodes of two processes are not equally long, and these would wait for each other's calls for ever."""
        together = self.is_fsdp_enabled or self.is_deepspeed_enabled or self.use_vllm
        if self.spec.environment and self.accelerator.num_processes > 1 and together:
            raise ModelError(
                "an environment over several processes needs each to hold the whole model, without vLLM; launch one "
                "process, or leave FSDP, DeepSpeed and use_vllm out"
            )

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


def _reordered(answered: tuple[list[int], str, Any]) -> tuple[tuple[int, ...], str, Any]:
    ids, text, chances = answered
    return tuple(ids), text, chances

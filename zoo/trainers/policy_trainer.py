"""TRL's GRPOTrainer with dynamic sampling, denoised advantages and episodes: its private methods, overridden.

This is the one module that does; a test holds the digest of what it rests on. A batch of answers to logged steps is
TRL's own, with groups replaced (`dynamic_sampling`) and advantages recomputed (`denoise`). A batch of episodes is acted
here and then handed to TRL as one completion a step. Whatever is drawn here is drawn from the seed and the step, so
that a run that goes on from a checkpoint draws the same. Several processes: decisions are gathered, each process has
whole groups. Not covered: episodes under FSDP, ZeRO-3 or vLLM over several processes, whose calls must stay in step.
"""

import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import mean, stdev
from time import perf_counter
from typing import Any

import torch
from accelerate.utils import gather_object
from trl import GRPOTrainer

from zoo.agent import Chat
from zoo.environments import Task
from zoo.errors import ModelError
from zoo.schema import GRPOSpec
from zoo.trainers import batches, rollouts
from zoo.trainers.advantages import Attempt, Credit, Scale, Turn, credited, spread
from zoo.trainers.batches import Batch
from zoo.trainers.judged import Judged, judged, named
from zoo.trainers.rollouts import Answered

__all__ = ["Keep", "PolicyTrainer"]

Row = Mapping[str, Any]
Keep = Callable[[int, int, Sequence[Mapping[str, Any]]], None]
"""Told the number of a step, that of the last, and what was answered for it, as plain data."""

_REASONS = ("errors", "flat", "limits", "unbalanced", "unreadable", "repeated", "spared")
_NOTHING: Row = {"prompt": [{"role": "user", "content": ""}]}


@dataclass(frozen=True)
class _Group:
    """The answers to one prompt, or the episodes of one task."""

    spread: float
    teaches: bool
    batch: Batch | None = None
    samples: tuple[tuple[Answered, float], ...] = ()
    """Of episodes: the steps that teach, each with its advantage."""


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
        self._handed: list[tuple[Answered, float]] = []
        self._answers: list[tuple[str, bool]] = []
        self._scores: list[float] = []
        self._won: list[bool] = []
        self._denoised: Counter[str] = Counter()
        self._seen: list[Judged] = []
        self._round = 0
        self._refuse_split_groups()
        self._refuse_calls_out_of_step()

    def _generate_and_score_completions(self, inputs: list[Row]) -> Batch:
        self._seen, self._round, self._denoised = [], 0, Counter()
        started = perf_counter()
        batch = self._episodes(inputs) if self.spec.environment else self._logged_steps(inputs)
        for reason in _REASONS if self.spec.denoise else ():
            self._note(f"denoise/{reason}", self._total(self._denoised[reason]))
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
        self._remember(inputs, prompts, completions, completion_ids, rewards)
        return rewards

    def _logged_steps(self, inputs: list[Row]) -> Batch:
        if self.spec.denoise is None and self.spec.dynamic_sampling is None:
            whole: Batch = super()._generate_and_score_completions(inputs)
            size = self.num_generations
            if len(self._scores) % size == 0:
                chunks = [self._scores[start : start + size] for start in range(0, len(self._scores), size)]
                self._note("group_spread", mean(spread(chunk) for chunk in chunks))
            return whole
        groups = self._refilled(inputs, self._answered)
        batch = batches.silenced(
            batches.joined([group.batch for group in groups if group.batch], self._tokenizer.pad_token_id)
        )
        mask = batch["completion_mask"] * batch.get("tool_mask", 1)
        batch["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
        self._note("samples/trained", self._total(int((batch["advantages"] != 0).sum())))
        return batch

    def _answered(self, inputs: list[Row]) -> list[_Group]:
        """TRL's answers to these rows, group by group."""
        whole: Batch = super()._generate_and_score_completions(inputs)
        groups = []
        for number, batch in enumerate(batches.parts(whole, self.num_generations)):
            attempts = self._attempts(number)
            distance = spread([attempt.score for attempt in attempts if attempt.score is not None])
            if self.spec.denoise:
                credit = self._credit(attempts)
                batch["advantages"] = torch.tensor([one for (one,) in credit.advantages]).to(whole["advantages"])
            teaches = distance > 1e-6 and bool((batch["advantages"] != 0).any())
            if not teaches:  # rounding leaves a rest of a thousandth where all scores are the same
                batch["advantages"] = torch.zeros_like(batch["advantages"])
            groups.append(_Group(distance, teaches, batch))
        return groups

    def _attempts(self, group: int) -> list[Attempt]:
        start, end = group * self.num_generations, (group + 1) * self.num_generations
        return [
            Attempt(
                None if math.isnan(score) else score,
                self._won[number],
                "length" if cut else "finish",
                (Turn(readable=self.readable(text)),),
            )
            for number, (score, (text, cut)) in enumerate(
                zip(self._scores[start:end], self._answers[start:end], strict=True), start
            )
        ]

    def _remember(
        self, inputs: list[Row], prompts: list[Any], completions: list[Any], ids: list[list[int]], rewards: torch.Tensor
    ) -> None:
        """The local rows of gathered rewards: their sums, and whether the first says that the answer is right."""
        mine = self.accelerator.process_index * len(prompts)
        local = rewards[mine : mine + len(prompts)].cpu()
        total = (local * self.reward_weights).nansum(dim=1)
        total[local.isnan().all(dim=1)] = math.nan
        self._scores, self._won = total.tolist(), [bool(one >= 0.5) for one in local[:, 0]]
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id}
        texts = [one if isinstance(one, str) else one[-1]["content"] for one in completions]
        self._answers = [(text, not tokens or tokens[-1] not in ends) for text, tokens in zip(texts, ids, strict=True)]
        rows = zip(inputs, prompts, texts, local.tolist(), strict=True)
        self._keep_rows(
            [
                {
                    "task": row.get("task"),
                    "prompt": _last_text(prompt),
                    "answers": [text],
                    "rewards": named(self.reward_func_names, worth),
                }
                for row, prompt, text, worth in rows
            ]
        )

    def _episodes(self, inputs: list[Row]) -> Batch:
        groups = self._refilled(inputs, self._acted)
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

    def _acted(self, inputs: list[Row]) -> list[_Group]:
        """Episodes of these tasks, group by group."""
        world = self.spec.environment
        assert world is not None
        tasks = [self.tasks[row["task"]] for row in inputs]
        made = rollouts.roll_out(
            self.spec.agent, tasks, self._sample, batch=world.batch, workers=world.workers
        )  # fmt: skip
        seen = judged(made, self.reward_funcs, self.reward_weights.tolist())
        self._keep_rows([one.plain(self.reward_func_names) for one in seen])
        self._seen += seen
        size = self.num_generations
        return [self._group(seen[start : start + size]) for start in range(0, len(seen), size)]

    def _group(self, seen: Sequence[Judged]) -> _Group:
        credit = self._credit([rollouts.attempt(one.rollout, one.score) for one in seen])
        samples = tuple(
            (answer, advantage)
            for one, advantages in zip(seen, credit.advantages, strict=True)
            for answer, advantage in zip(one.rollout.answers, advantages, strict=True)
            if advantage and answer.completion_ids
        )
        distance = spread([one.score for one in seen if one.score is not None])
        return _Group(distance, bool(samples), samples=samples)

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
        self._note("samples/trained", self._total(len(chosen)))
        self._note("samples/left_out", self._total(len(samples) - len(chosen)))
        split = self.args.steps_per_generation
        rows = max(1, math.ceil(self._most(len(chosen)) / split)) * split
        end = self.eos_token_ids[0]
        return [*chosen, *[(Answered((end,), (end,), ""), 0.0)] * (rows - len(chosen))]

    def _refilled(self, inputs: list[Row], make: Callable[[list[Row]], list[_Group]]) -> list[_Group]:
        """The batch's groups, those that teach nothing replaced by others as far as the rounds go.

        Every process draws as many as the one that lacks most, since TRL gathers rows of one number from each.
        """
        dynamic, needed = self.spec.dynamic_sampling, len(inputs) // self.num_generations
        if dynamic is None:
            groups = make(inputs)
            self._note("group_spread", self._mean([group.spread for group in groups]))
            return groups
        groups = make([*inputs, *self._drawn(math.ceil(needed * (dynamic.oversample - 1)))])
        self._note("group_spread", self._mean([group.spread for group in groups]))
        while self._round < dynamic.rounds and (missing := self._most(needed - _teaching(groups))) > 0:
            self._round += 1
            groups += make(self._drawn(missing))
        chosen = sorted(groups, key=lambda group: not group.teaches)[:needed]
        self._note("sampling/rounds", self._round)
        self._note("sampling/groups", self._total(len(groups)))
        self._note("sampling/teaching", self._mean([float(group.teaches) for group in groups]))
        self._note("sampling/filled", self._mean([float(group.teaches) for group in chosen]))
        return chosen

    def _drawn(self, groups: int) -> list[Row]:
        """Rows of the dataset, each repeated for its group."""
        rng, count = self._rng("rows"), len(self.train_dataset)
        numbers = rng.sample(range(count), groups) if groups <= count else rng.choices(range(count), k=groups)
        return [dict(self.train_dataset[number]) for number in numbers for _ in range(self.num_generations)]

    def _rng(self, what: str) -> Random:
        """Randomness that a checkpoint need not hold."""
        window = self._step % self.args.gradient_accumulation_steps
        process = self.accelerator.process_index
        return Random(f"{self.args.seed} {what} {self.state.global_step} {window} {self._round} {process}")

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
        if self._round == 0 and self.accelerator.is_main_process:
            self.keep(self.state.global_step + 1, self.state.max_steps, rows)

    def _note_episodes(self, groups: Sequence[_Group]) -> None:
        """What TRL logged of rewards was of rows without one: in its place, of episodes, over all processes."""
        rows: list[tuple[Any, ...]] = gather_object([one.facts for one in self._seen])
        known = [row for row in rows if row[0] is not None]
        self._replace("reward", [score for score, *_ in known])
        for place, name in enumerate(self.reward_func_names):
            self._replace(f"rewards/{name}", [worth[place] for _, worth, *_ in known], "/mean", "/std")
        self._metrics["train"]["frac_reward_zero_std"][-1] = self._mean([float(not group.teaches) for group in groups])
        if known:
            self._note("success", mean(float(won) for *_, won, _, _ in known))
            self._note("episode/steps", mean(steps for *_, steps, _ in known))
        for ended, count in Counter(row[-1] for row in rows).items():
            self._note(f"episode/{ended}", count / len(rows))

    def _replace(self, name: str, values: Sequence[float], middle: str = "", width: str = "_std") -> None:
        logged: defaultdict[str, list[float]] = self._metrics["train"]
        logged[name + middle][-1] = mean(values) if values else math.nan
        logged[name + width][-1] = stdev(values) if len(values) > 1 else math.nan

    def _note(self, name: str, value: float) -> None:
        self._metrics["train"][name].append(float(value))

    def _most(self, number: int) -> int:
        return int(self._gathered(number).max())

    def _total(self, number: int) -> int:
        return int(self._gathered(number).sum())

    def _gathered(self, number: int) -> torch.Tensor:
        gathered: torch.Tensor = self.accelerator.gather(torch.tensor([number], device=self.accelerator.device))
        return gathered

    def _mean(self, values: list[float]) -> float:
        return float(mean(gather_object(values)))


def _teaching(groups: Sequence[_Group]) -> int:
    return sum(group.teaches for group in groups)


def _reordered(answered: tuple[list[int], str, Any]) -> tuple[tuple[int, ...], str, Any]:
    ids, text, chances = answered
    return tuple(ids), text, chances


def _last_text(prompt: Any) -> str:
    content = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)

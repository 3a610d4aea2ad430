"""A file and its checkpoint side by side, in their own runtimes: next-token distributions and called functions.

Teacher-forced: both read the same tokens, a prompt and the right answer, and only what they expect next is compared, so
that one early difference does not make all that follows incomparable. Answers are compared by the action that they
call, never by their text: torch in bfloat16 itself keeps only half of its float32 answers word for word.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.actions import Action, parse, same
from zoo.metrics import Agreement, Divergence, agreement, divergence, rate
from zoo.records import Metric, Progress, no_progress
from zoo.serving import Chat, Runtime

__all__ = ["ActionAgreement", "Step", "compare_actions", "compare_logits"]

_MOST_POSITIONS = 1024
"""Of one text, counted from its end; logits of 1024 positions and 152 000 tokens are 0.6 GB in float32."""


@dataclass(frozen=True)
class Step:
    """One step of an agent: what it is shown, and the right answer."""

    prompt: Sequence[Mapping[str, Any]]
    completion: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ActionAgreement:
    """Greedy answers to the same prompts."""

    steps: int
    called: int
    """Steps on which the reference called a function."""
    same: int
    """Of those, the ones on which the file called the same one with the same arguments."""
    readable: int
    """Steps on which the file called any function."""
    same_text: int
    """For information: answers that are the same word for word."""

    @property
    def same_action(self) -> Metric | None:
        """None when the reference called nothing: then there is nothing to keep."""
        return rate(self.same, self.called) if self.called else None


def compare_logits(
    reference: Runtime, candidates: Mapping[str, Runtime], steps: Sequence[Step], progress: Progress = no_progress
) -> dict[str, Agreement]:
    """How far each candidate is from the reference on prompt and answer of every step.

    The reference is asked once for each step, whatever the number of candidates. All get the token ids of the
    reference: whether they would make the same ones of the text is another check.
    """
    found: dict[str, list[Divergence]] = {name: [] for name in candidates}
    for index, step in enumerate(steps):
        for name, one in _of_step(reference, candidates, step):
            found[name].append(one)
        progress(index + 1, len(steps), comparing="logits")
    return {name: agreement(texts) for name, texts in found.items()}


def _of_step(reference: Runtime, candidates: Mapping[str, Runtime], step: Step) -> Iterator[tuple[str, Divergence]]:
    ids = reference.encode([*step.prompt, *step.completion])
    start = max(0, len(ids) - 1 - _MOST_POSITIONS)
    expected = reference.logits(ids[:-1], start)
    for name, candidate in candidates.items():
        yield name, divergence(expected, candidate.logits(ids[:-1], start), ids[start + 1 :])


def compare_actions(
    reference: Runtime,
    candidates: Mapping[str, Runtime],
    prompts: Sequence[Chat],
    answer_tokens: int,
    progress: Progress = no_progress,
) -> dict[str, ActionAgreement]:
    """Whether each candidate calls what the reference calls, both answering greedily."""
    wanted = [_answer(reference, prompt, answer_tokens) for prompt in prompts]
    found: dict[str, list[str]] = {name: [] for name in candidates}
    for index, prompt in enumerate(prompts):
        for name, candidate in candidates.items():
            found[name].append(_answer(candidate, prompt, answer_tokens))
        progress(index + 1, len(prompts), comparing="actions")
    return {name: _summed(wanted, answers) for name, answers in found.items()}


def _answer(runtime: Runtime, prompt: Chat, answer_tokens: int) -> str:
    return runtime.generate([prompt], answer_tokens)[0].text


def _summed(wanted: Sequence[str], found: Sequence[str]) -> ActionAgreement:
    pairs: list[tuple[Action | None, Action | None]] = [
        (parse(ours), parse(theirs)) for ours, theirs in zip(wanted, found, strict=True)
    ]
    return ActionAgreement(
        steps=len(pairs),
        called=sum(ours is not None for ours, _ in pairs),
        same=sum(same(ours, theirs) for ours, theirs in pairs),
        readable=sum(theirs is not None for _, theirs in pairs),
        same_text=sum(ours == theirs for ours, theirs in zip(wanted, found, strict=True)),
    )

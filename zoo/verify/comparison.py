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
    reference: whether they would make the same ones of the text is another check. Beginnings that steps share are
    compared once.
    """
    found: dict[str, list[Divergence]] = {name: [] for name in candidates}
    for index, (ids, start) in enumerate(_unseen([reference.encode([*one.prompt, *one.completion]) for one in steps])):
        expected = reference.logits(ids[:-1], start)
        for name, candidate in candidates.items():
            found[name].append(divergence(expected, candidate.logits(ids[:-1], start), ids[start + 1 :]))
        progress(index + 1, len(steps), comparing="logits")
    return {name: agreement(texts) for name, texts in found.items()}


def _unseen(texts: Sequence[list[int]]) -> Iterator[tuple[list[int], int]]:
    """Texts that say something new, each with its first position that no earlier text had behind the same tokens.

    Steps of one agent begin with the same long instructions. Counted in every step, one undecided position in there
    would weigh as much as there are steps, and the number of positions would promise a precision that is not there.
    """
    seen: list[list[int]] = []
    for ids in texts:
        known = max((_common_prefix(ids, other) for other in seen), default=0)
        start = max(known, len(ids) - 1 - _MOST_POSITIONS, 0)
        seen.append(ids)
        if start < len(ids) - 1:
            yield ids, start


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    pairs = zip(left, right, strict=False)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(left), len(right)))


def compare_actions(
    reference: Runtime,
    candidates: Mapping[str, Runtime],
    prompts: Sequence[Chat],
    answer_tokens: int,
    progress: Progress = no_progress,
) -> dict[str, ActionAgreement]:
    """Whether each candidate calls what the reference calls, both answering greedily."""
    wanted = _answers(reference, prompts, answer_tokens)
    found: dict[str, ActionAgreement] = {}
    for name, candidate in candidates.items():
        found[name] = _summed(wanted, _answers(candidate, prompts, answer_tokens))
        progress(len(found), len(candidates), comparing="actions", file=name)
    return found


def _answers(runtime: Runtime, prompts: Sequence[Chat], answer_tokens: int) -> list[str]:
    return [one.text for one in runtime.generate(prompts, answer_tokens)]


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

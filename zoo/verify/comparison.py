"""A file and its checkpoint side by side, in their own runtimes: next-token distributions and called functions.

Teacher-forced: both read the same tokens, a prompt and the right answer, and only what they expect next is compared, so
that one early difference does not make all that follows incomparable. Answers are compared by the action that they
call, never by their text: torch in bfloat16 itself keeps only half of its float32 answers word for word.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.actions import Action, parse, same
from zoo.metrics import Agreement, Divergence, agreement, divergence, rate
from zoo.records import Metric, Progress, no_progress
from zoo.serving import Chat, Runtime

__all__ = ["ActionAgreement", "Closeness", "Step", "Stretch", "compare_actions", "compare_logits"]

_MOST_POSITIONS = 1024
"""Of one text, counted from its end; logits of 1024 positions and 152 000 tokens are 0.6 GB in float32."""
_STRETCH = 32
"""Positions that the curve takes together."""


@dataclass(frozen=True)
class Step:
    """One step of an agent: what it is shown, and the right answer."""

    prompt: Sequence[Mapping[str, Any]]
    completion: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Stretch:
    """KL at neighbouring positions, counted from the beginning of a text."""

    position: int
    """The first of them."""
    n: int
    mean_kl: float


@dataclass(frozen=True)
class Closeness:
    """How near a file is to its checkpoint on some texts."""

    agreement: Agreement
    curve: tuple[Stretch, ...]
    """KL by position: a wrong rotary base grows with it, a wrong weight does not."""


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
    ended: int = 0
    """Steps on which the reference came to a stop token within the limit."""
    file_ended: int = 0
    """Of those, the ones on which the file did too."""

    @property
    def valid_actions(self) -> Metric:
        """Share of the file's answers that call any function."""
        return rate(self.readable, self.steps)

    @property
    def reference_valid_actions(self) -> Metric:
        """The same of the reference's answers."""
        return rate(self.called, self.steps)

    @property
    def same_action(self) -> Metric | None:
        """None when the reference called nothing: then there is nothing to keep."""
        return rate(self.same, self.called) if self.called else None


def compare_logits(
    reference: Runtime,
    candidates: Mapping[str, Runtime],
    texts: Sequence[Sequence[int]],
    progress: Progress = no_progress,
    comparing: str = "next tokens",
) -> dict[str, Closeness]:
    """How far each candidate is from the reference on every text, given as token ids of the reference.

    The reference is asked once for each text, whatever the number of candidates. Whether the candidates would make the
    same ids of the text is another check. Beginnings that texts share are compared once.
    """
    found: dict[str, list[tuple[int, Divergence]]] = {name: [] for name in candidates}
    for index, (ids, start) in enumerate(_unseen(texts)):
        expected = reference.logits(ids[:-1], start)
        for name, candidate in candidates.items():
            compared = divergence(expected, candidate.logits(ids[:-1], start), ids[start + 1 :])
            found[name].append((start, compared))
        progress(index + 1, len(texts), comparing=comparing)
    return {
        name: Closeness(agreement([text for _, text in compared]), _curve(compared))
        for name, compared in found.items()
        if compared
    }


def _curve(texts: Sequence[tuple[int, Divergence]]) -> tuple[Stretch, ...]:
    values: dict[int, list[float]] = defaultdict(list)
    for start, text in texts:
        for offset, kl in enumerate(text.kl.tolist()):
            values[(start + offset) // _STRETCH * _STRETCH].append(kl)
    return tuple(Stretch(at, len(kls), sum(kls) / len(kls)) for at, kls in sorted(values.items()))


def _unseen(texts: Sequence[Sequence[int]]) -> Iterator[tuple[Sequence[int], int]]:
    """Texts that say something new, each with its first position that no earlier text had behind the same tokens.

    Steps of one agent begin with the same long instructions. Counted in every step, one undecided position in there
    would weigh as much as there are steps, and the number of positions would promise a precision that is not there.
    """
    seen: list[Sequence[int]] = []
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
    read: Callable[[str], Action | None] = parse,
) -> dict[str, ActionAgreement]:
    """Whether each candidate calls what the reference calls, both answering greedily; `read` finds the call."""
    if not prompts or not candidates:
        return {}
    wanted = _answers(reference, prompts, answer_tokens)
    found: dict[str, ActionAgreement] = {}
    for name, candidate in candidates.items():
        found[name] = _summed(wanted, _answers(candidate, prompts, answer_tokens), read)
        progress(len(found), len(candidates), comparing="actions", file=name)
    return found


def _answers(runtime: Runtime, prompts: Sequence[Chat], answer_tokens: int) -> list[tuple[str, bool]]:
    """Each answer, and whether it came to its end."""
    return [(one.text, one.tokens < answer_tokens) for one in runtime.generate(prompts, answer_tokens)]


def _summed(
    wanted: Sequence[tuple[str, bool]], found: Sequence[tuple[str, bool]], read: Callable[[str], Action | None]
) -> ActionAgreement:
    pairs: list[tuple[Action | None, Action | None]] = [
        (read(ours), read(theirs)) for (ours, _), (theirs, _) in zip(wanted, found, strict=True)
    ]
    ends = [(ours, theirs) for (_, ours), (_, theirs) in zip(wanted, found, strict=True)]
    return ActionAgreement(
        steps=len(pairs),
        called=sum(ours is not None for ours, _ in pairs),
        same=sum(same(ours, theirs) for ours, theirs in pairs),
        readable=sum(theirs is not None for _, theirs in pairs),
        same_text=sum(ours == theirs for (ours, _), (theirs, _) in zip(wanted, found, strict=True)),
        ended=sum(ours for ours, _ in ends),
        file_ended=sum(ours and theirs for ours, theirs in ends),
    )

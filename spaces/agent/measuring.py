"""Several models on the same work, one answer at a time, A B A B: what each answer cost, in medians with their spread.

Every answer begins with an empty cache where the work is one prompt, so that reading the prompt is measured; on the
screens of a task the cache is kept inside a round, as when the agent acts. The first answer of each model is warm-up
and is not counted. Memory is that of the model's whole process at its highest, Python and runtime included.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from answerers import Answerers
from model_process import Said, never
from shelf import Loading
from workload import Workload

from zoo.actions import parse, same
from zoo.agent import Chat

__all__ = ["Column", "Comparison", "Spread", "spread"]

_WARM_UP_TOKENS = 8


@dataclass(frozen=True)
class Spread:
    """A median and the middle half around it."""

    median: float
    low: float
    high: float
    n: int


@dataclass
class Column:
    """One model and its answers: round by round, in each the chats in order."""

    name: str
    bytes: int
    rounds: list[list[Said]] = field(default_factory=list)
    load_seconds: float = 0.0
    threads: int | None = None
    peak_memory_bytes: int = 0

    @property
    def answers(self) -> list[Said]:
        """All of them."""
        return [said for one in self.rounds for said in one]

    def spreads(self) -> dict[str, Spread]:
        """Name of a figure -> its spread over all answers; a figure without a sample is left out."""
        said = self.answers
        figures = {
            "first_token_seconds": [one.first_token_seconds for one in said if one.tokens],
            "prefill_tokens_per_second": [
                one.computed_tokens / one.first_token_seconds
                for one in said
                if one.computed_tokens and one.first_token_seconds
            ],
            "decode_tokens_per_second": [
                (one.tokens - 1) / (one.seconds - one.first_token_seconds)
                for one in said
                if one.tokens > 1 and one.seconds > one.first_token_seconds
            ],
            "step_seconds": [one.seconds for one in said],
        }
        return {name: spread(values) for name, values in figures.items() if values}

    def agreement(self, first: "Column", acting: bool) -> float | None:
        """Share of the first round's answers that say the same as the first column's; None before there are any."""
        if not self.rounds or not first.rounds:
            return None
        pairs = list(zip(self.rounds[0], first.rounds[0], strict=False))
        agreed = [same(parse(a.text), parse(b.text)) if acting else a.text == b.text for a, b in pairs]
        return sum(agreed) / len(agreed) if agreed else None


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(median(values), low, high, len(values))


@dataclass
class Comparison:
    """A comparison under way."""

    answerers: Answerers
    workload: Workload
    columns: list[Column]
    rounds: int
    seconds: float
    """Of computing, at most."""
    stopped: Callable[[], bool] = never

    def run(self) -> Iterator[Loading]:
        """Let every model answer every chat, interleaved, saying how far it is. Ends early, with what there is, when it
        is stopped or its time is up. Raises ModelError when a model cannot be had."""
        for column in self.columns:
            for event in self._asked(column, self.workload.chats[0], True, _WARM_UP_TOKENS):
                if isinstance(event, Loading):
                    yield event
        plan = [(number, at) for number in range(self.rounds) for at in range(len(self.workload.chats))]
        for done, (number, at) in enumerate(plan):
            for place, column in enumerate(self.columns):
                if self.stopped() or self._spent >= self.seconds:
                    return
                share = (done + place / len(self.columns)) / len(plan)
                yield Loading(f"Round {number + 1} of {self.rounds}: {column.name}", share)
                yield from self._answered(column, number, at)

    @property
    def _spent(self) -> float:
        return sum(said.seconds for column in self.columns for said in column.answers)

    def _answered(self, column: Column, number: int, at: int) -> Iterator[Loading]:
        afresh = at == 0 or not self.workload.acting
        for event in self._asked(column, self.workload.chats[at], afresh, self.workload.tokens):
            if isinstance(event, Loading):
                yield event
            elif not event.stopped:
                column.rounds += [[] for _ in range(number + 1 - len(column.rounds))]
                column.rounds[number].append(event)

    def _asked(self, column: Column, chat: Chat, afresh: bool, tokens: int) -> Iterator[Loading | Said]:
        for event in self.answerers.model(column.name, chat, tokens, afresh=afresh, stopped=self.stopped):
            if isinstance(event, Said):
                column.peak_memory_bytes = max(column.peak_memory_bytes, event.peak_memory_bytes)
                if process := self.answerers.shelf.process(column.name):
                    column.load_seconds, column.threads = process.ready.load_seconds, process.ready.threads
            yield event

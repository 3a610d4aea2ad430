"""How well a model knows texts and questions: log-likelihoods, never what it says.

A question counts as right when its right end is the likeliest of the four (summed log-probability of its tokens behind
the question, as LM Evaluation Harness scores `acc`). A text's loss is the mean over its tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

from zoo.metrics import average, rate
from zoo.probe.questions import Question
from zoo.records import Metric, Progress
from zoo.serving import Runtime

__all__ = ["Answers", "Losses", "answer", "read"]

_MOST_TOKENS = 512
"""Of one text."""


@dataclass(frozen=True)
class Answers:
    """Which questions were answered right, in their order."""

    right: tuple[bool, ...]

    @property
    def accuracy(self) -> Metric:
        """The share, with Wilson's interval."""
        return rate(sum(self.right), len(self.right))


@dataclass(frozen=True)
class Losses:
    """-log p of every token of some texts but the first of each, in nats."""

    nats: tuple[float, ...]

    @property
    def mean(self) -> Metric:
        """Nats a token. Tokens of one text are not independent, so that the interval is rather narrow."""
        return average(self.nats, "nats")

    @property
    def perplexity(self) -> Metric:
        """exp of the mean."""
        return Metric(exp(self.mean.value), n=len(self.nats))


def answer(runtime: Runtime, asked: Sequence[Question], progress: Progress) -> Answers:
    """Choose an end for each question."""
    right = []
    for number, question in enumerate(asked, 1):
        scores = [_likelihood(runtime, question.text, choice) for choice in question.choices]
        right.append(scores.index(max(scores)) == question.right)
        progress(number, len(asked), right=sum(right))
    return Answers(tuple(right))


def read(runtime: Runtime, texts: Sequence[str], progress: Progress) -> Losses:
    """The loss of every token, of the first 512 of each text."""
    nats: list[float] = []
    for number, text in enumerate(texts, 1):
        ids = runtime.encode(text)[:_MOST_TOKENS]
        if len(ids) > 1:
            nats += (-_log_probabilities(runtime, ids, 0)).tolist()
        progress(number, len(texts), tokens=len(nats))
    return Losses(tuple(nats))


def _likelihood(runtime: Runtime, text: str, end: str) -> float:
    asked = len(runtime.encode(text))
    return float(_log_probabilities(runtime, runtime.encode(text + end), asked - 1).sum())


def _log_probabilities(runtime: Runtime, ids: Sequence[int], start: int) -> Any:
    """Of each token behind position `start`, under the model."""
    import numpy as np

    logits = runtime.logits(ids[:-1], start).astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(shifted)), list(ids[start + 1 :])]
    return chosen - np.log(np.exp(shifted).sum(axis=1))

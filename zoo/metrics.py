"""Rates with intervals, and how far two next-token distributions are apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, fsum, sqrt
from typing import TYPE_CHECKING, Any

from zoo.records import Metric

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Agreement", "Divergence", "agreement", "average", "divergence", "rate"]

_Z95 = 1.959963984540054


def rate(successes: int, n: int) -> Metric:
    """The share `successes / n` with Wilson's 95 % score interval (E. B. Wilson, JASA 22, 1927).

    Raises ValueError when `n` is 0: a rate of nothing is not a number.

    >>> round(rate(8, 10).low, 3), round(rate(8, 10).high, 3)
    (0.49, 0.943)
    """
    if n <= 0:
        raise ValueError("a rate needs at least one trial")
    share = successes / n
    denominator = 1 + _Z95**2 / n
    centre = (share + _Z95**2 / (2 * n)) / denominator
    half = _Z95 * sqrt(share * (1 - share) / n + _Z95**2 / (4 * n * n)) / denominator
    return Metric(share, n=n, low=max(0.0, centre - half), high=min(1.0, centre + half))


def average(values: Sequence[float], unit: str = "") -> Metric:
    """The mean with the normal 95 % interval of the sample, `mean +- 1.96 s / sqrt(n)`; without one for a single value.

    Raises ValueError when there is no value.

    >>> average([1.0, 2.0, 3.0], "s").value
    2.0
    """
    if not values:
        raise ValueError("a mean needs at least one value")
    n, centre = len(values), fsum(values) / len(values)
    if n == 1:
        return Metric(centre, unit, n)
    half = _Z95 * sqrt(fsum((value - centre) ** 2 for value in values) / (n - 1) / n)
    return Metric(centre, unit, n, centre - half, centre + half)


@dataclass(frozen=True)
class Divergence:
    """How far another model is from a reference at each position of one text; every array has length T."""

    kl: "np.ndarray[Any, Any]"
    """KL(reference || other) of the next-token distributions, in nats."""
    same_top: "np.ndarray[Any, Any]"
    """Whether both have the same most likely token."""
    reference_loss: "np.ndarray[Any, Any]"
    """-log p of the token that really follows, under the reference."""
    other_loss: "np.ndarray[Any, Any]"
    largest_difference: float
    """Of two logits, anywhere."""


@dataclass(frozen=True)
class Agreement:
    """Divergences of many texts in a few numbers; KL in nats."""

    positions: int
    same_top: int
    mean_kl: float
    p99_kl: float
    max_kl: float
    perplexity: float
    """Of the reference, on the tokens that really follow."""
    perplexity_ratio: float
    """Of the other model's perplexity to the reference's: 1 is no loss."""
    largest_difference: float

    @property
    def top1(self) -> Metric:
        """Share of positions with the same most likely token."""
        return rate(self.same_top, self.positions)


_CHUNK = 64
"""Positions at a time: in float64, 64 rows of 152 000 tokens are 78 MB."""


def divergence(
    reference: "np.ndarray[Any, Any]", other: "np.ndarray[Any, Any]", following: Sequence[int]
) -> Divergence:
    """Compare the logits [T, V] of two models at the same positions of the same text.

    `following[t]` is the token that stands after position t. Computed in float64 from log-softmax, since the KL of a
    good export (1e-6) is far below what float32 keeps of a sum over 50 000 tokens.

    Raises ValueError when the shapes differ.
    """
    import numpy as np

    if reference.shape != other.shape or len(following) != len(reference):
        raise ValueError(f"logits {reference.shape} and {other.shape} for {len(following)} tokens cannot be compared")
    parts = [
        _divergence_of(reference[at : at + _CHUNK], other[at : at + _CHUNK], following[at : at + _CHUNK])
        for at in range(0, len(reference), _CHUNK)
    ]
    kl, same_top, reference_loss, other_loss = (np.concatenate([part[at] for part in parts]) for at in range(4))
    largest = max(float(part[4]) for part in parts)
    return Divergence(kl, same_top, reference_loss, other_loss, largest)


def _divergence_of(
    reference: "np.ndarray[Any, Any]", other: "np.ndarray[Any, Any]", following: Sequence[int]
) -> tuple[Any, ...]:
    import numpy as np

    p, q = _log_softmax(reference), _log_softmax(other)
    kl = (np.exp(p) * (p - q)).sum(axis=1)
    rows = np.arange(len(following))
    # Rounding may leave the KL of two equal distributions at -1e-17.
    return (
        np.maximum(kl, 0.0),
        reference.argmax(axis=1) == other.argmax(axis=1),
        -p[rows, following],
        -q[rows, following],
        float(np.abs(reference - other).max()),
    )


def _log_softmax(logits: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    import numpy as np

    shifted: np.ndarray[Any, Any] = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def agreement(texts: Sequence[Divergence]) -> Agreement:
    """Sum up the divergences of several texts, every position with the same weight.

    Raises ValueError when there is no position at all.
    """
    import numpy as np

    kl, same_top, reference_loss, other_loss = (
        np.concatenate([getattr(text, column) for text in texts]) if texts else np.empty(0)
        for column in ("kl", "same_top", "reference_loss", "other_loss")
    )
    if not len(kl):
        raise ValueError("agreement needs at least one position")
    return Agreement(
        positions=len(kl),
        same_top=int(same_top.sum()),
        mean_kl=float(kl.mean()),
        p99_kl=float(np.quantile(kl, 0.99)),
        max_kl=float(kl.max()),
        perplexity=exp(reference_loss.mean()),
        perplexity_ratio=exp(other_loss.mean() - reference_loss.mean()),
        largest_difference=max(text.largest_difference for text in texts),
    )

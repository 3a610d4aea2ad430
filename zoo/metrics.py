"""Rates with intervals, and how far two next-token distributions are apart."""

from math import sqrt

from zoo.records import Metric

__all__ = ["rate"]

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

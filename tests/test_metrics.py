"""Rates and divergences, against their formulas."""

from math import exp, isclose, log

import numpy as np
import pytest

from zoo.metrics import agreement, divergence, rate


def test_a_rate_carries_wilsons_interval() -> None:
    metric = rate(8, 10)
    assert (metric.value, metric.n) == (0.8, 10)
    assert metric.low is not None and metric.high is not None
    assert isclose(metric.low, 0.4901625, abs_tol=1e-6)
    assert isclose(metric.high, 0.9433178, abs_tol=1e-6)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        rate(0, 0)


def test_kl_is_that_of_the_formula_and_points_from_the_reference_to_the_other() -> None:
    p, q = [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]
    one = divergence(np.log([p]).astype(np.float32), np.log([q]).astype(np.float32), [0])
    assert isclose(one.kl[0], 0.5 * log(2) - 0.25 * log(2), rel_tol=1e-6)
    lopsided = divergence(np.log([[0.9, 0.1]]), np.log([[0.5, 0.5]]), [0])
    assert isclose(lopsided.kl[0], 0.9 * log(0.9 / 0.5) + 0.1 * log(0.1 / 0.5), rel_tol=1e-9)


def test_a_constant_added_to_all_logits_changes_no_distribution() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    found = agreement([divergence(logits, logits + 1000.0, range(5))])
    assert found.mean_kl < 1e-8
    assert found.top1.value == 1.0
    assert isclose(found.perplexity_ratio, 1.0, abs_tol=1e-4)


def test_losses_are_those_of_the_following_tokens() -> None:
    p, q = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]
    found = agreement([divergence(np.log([p, p]), np.log([q, q]), [0, 2])])
    assert isclose(found.perplexity, exp(-(log(0.5) + log(0.2)) / 2), rel_tol=1e-9)
    assert isclose(found.perplexity_ratio, 1.0, rel_tol=1e-9)
    assert (found.positions, found.same_top) == (2, 0)


def test_chunks_do_not_show() -> None:
    generator = np.random.default_rng(1)
    ours, theirs = generator.normal(size=(2, 200, 50))
    whole = divergence(ours, theirs, [t % 50 for t in range(200)])
    rows = [divergence(ours[t : t + 1], theirs[t : t + 1], [t % 50]) for t in range(200)]
    assert np.allclose(whole.kl, [row.kl[0] for row in rows], rtol=1e-12)
    assert isclose(whole.largest_difference, np.abs(ours - theirs).max())


def test_texts_count_by_their_positions() -> None:
    same = np.zeros((3, 4))
    other = np.log([[0.7, 0.1, 0.1, 0.1]])
    far = divergence(np.log([[0.1, 0.1, 0.1, 0.7]]), other, [0])
    found = agreement([divergence(same, same, [0, 0, 0]), far])
    assert isclose(found.mean_kl, far.kl[0] / 4)
    assert found.max_kl == far.kl[0]
    assert found.top1.value == 0.75


def test_a_tiny_kl_survives_a_large_vocabulary() -> None:
    generator = np.random.default_rng(2)
    logits = generator.normal(scale=0.5, size=(4, 50_000)).astype(np.float32)
    noisy = logits + generator.normal(scale=1e-3, size=logits.shape).astype(np.float32)
    # KL between near distributions is half the variance of the noise
    assert isclose(agreement([divergence(logits, noisy, [0] * 4)]).mean_kl, 0.5e-6, rel_tol=0.05)


def test_logits_of_different_vocabularies_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        divergence(np.zeros((2, 5)), np.zeros((2, 6)), [0, 0])
    with pytest.raises(ValueError, match="at least one position"):
        agreement([])

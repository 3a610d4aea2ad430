"""The formulas of distillation against others written in float64, and what every divergence must do at its limits."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from zoo.trainers.distill.divergence import against_model, against_stored, beta_of, divergence_of
from zoo.trainers.heads import Head

N, V, H = 7, 40, 6
Array = np.ndarray[Any, Any]


def softmax(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def expected(student: Array, teacher: Array, beta: float, temperature: float) -> Array:
    """Textbook, float64: T^2 x the divergence of both softened sides."""
    s, t = softmax(student / temperature), softmax(teacher / temperature)
    if beta == 0:
        value = (t * np.log(t / s)).sum(-1)
    elif beta == 1:
        value = (s * np.log(s / t)).sum(-1)
    else:
        m = beta * t + (1 - beta) * s
        value = beta * (t * np.log(t / m)).sum(-1) + (1 - beta) * (s * np.log(s / m)).sum(-1)
    return np.asarray(temperature**2 * value)


@pytest.fixture
def sides() -> tuple[torch.Tensor, Head, torch.Tensor, Head]:
    """Hidden states and heads of a student and of a wider teacher, double where the kernel allows."""
    torch.manual_seed(3)
    student = Head(torch.randn(V, H), torch.randn(V))
    teacher = Head(torch.randn(V, 2 * H), None)
    return torch.randn(N, H, requires_grad=True), student, torch.randn(N, 2 * H), teacher


def stored(teacher: torch.Tensor, k: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = teacher.topk(k).indices
    rest = teacher.scatter(-1, ids, float("-inf")) / temperature
    tail = torch.logsumexp(rest, -1) - torch.logsumexp(teacher / temperature, -1)
    return ids, teacher.log_softmax(-1).gather(-1, ids), tail


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 7.0])
@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_both_ways_agree_with_float64(sides: Any, beta: float, temperature: float) -> None:
    hidden, student, known, teacher = sides
    logits, taught = student.logits(hidden), teacher.logits(known)
    right = expected(logits.detach().double().numpy(), taught.double().numpy(), beta, temperature)
    found = against_model(hidden, student, known, teacher, beta, temperature)
    np.testing.assert_allclose(found.detach().numpy(), right, rtol=2e-4, atol=1e-5)
    whole = against_stored(logits, *stored(taught, V, temperature), beta, temperature)
    np.testing.assert_allclose(whole.detach().numpy(), right, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_both_ways_have_one_gradient(sides: Any, beta: float) -> None:
    hidden, student, known, teacher = sides
    against_model(hidden, student, known, teacher, beta, 2.0).sum().backward()
    kernel, hidden.grad = hidden.grad.clone(), None
    against_stored(student.logits(hidden), *stored(teacher.logits(known), V, 2.0), beta, 2.0).sum().backward()
    torch.testing.assert_close(kernel, hidden.grad, rtol=1e-3, atol=1e-5)
    assert kernel.abs().max() > 0.1


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_nothing_is_far_from_itself(sides: Any, beta: float) -> None:
    hidden, student, _, _ = sides
    same = against_model(hidden, student, hidden.detach(), student, beta, 2.0)
    kept = against_stored(student.logits(hidden), *stored(student.logits(hidden).detach(), 5, 2.0), beta, 2.0)
    assert same.abs().max() < 1e-5 and kept.abs().max() < 1e-5
    kept.sum().backward()
    assert hidden.grad.abs().max() < 1e-5


def test_a_large_temperature_compares_logits_squared(sides: Any) -> None:
    """T^2 KL tends to |z_t - z_s|^2 / (2V) for logits around 0."""
    hidden, student, known, teacher = sides
    s, t = student.logits(hidden).detach(), teacher.logits(known)
    gap = (t - t.mean(-1, keepdim=True)) - (s - s.mean(-1, keepdim=True))
    limit = gap.pow(2).sum(-1) / (2 * V)
    found = against_stored(s, *stored(t, V, 200.0), 0.0, 200.0)
    torch.testing.assert_close(found, limit, rtol=0.03, atol=1e-3)


def test_the_square_of_the_temperature_keeps_the_gradient_in_its_size(sides: Any) -> None:
    hidden, student, known, teacher = sides

    def size(temperature: float) -> float:
        logits = student.logits(hidden).detach().requires_grad_()
        against_stored(logits, *stored(teacher.logits(known), V, temperature), 0.0, temperature).sum().backward()
        return float(logits.grad.norm())

    assert size(40.0) == pytest.approx(size(20.0), rel=0.05)
    without = size(40.0) / 40**2, size(20.0) / 20**2
    assert without[1] > 3.5 * without[0], "without the square, twice the temperature would be a quarter of the gradient"


def test_the_mixed_divergence_tends_to_forward_and_reverse_and_is_symmetric_in_the_middle() -> None:
    torch.manual_seed(5)
    s, t = torch.randn(N, V).double().log_softmax(-1), torch.randn(N, V).double().log_softmax(-1)
    small = 1e-5
    torch.testing.assert_close(divergence_of(s, t, small) / small, divergence_of(s, t, 0.0), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(divergence_of(s, t, 1 - small) / small, divergence_of(s, t, 1.0), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(divergence_of(s, t, 0.5), divergence_of(t, s, 0.5))
    torch.testing.assert_close(divergence_of(s, t, 0.2), divergence_of(t, s, 0.8))
    assert (divergence_of(s, t, 0.5) < np.log(2)).all() and (divergence_of(s, t, 0.5) > 0).all()
    assert (beta_of("forward", 0.3), beta_of("reverse", 0.3), beta_of("jsd", 0.3)) == (0.0, 1.0, 0.3)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_fewer_stored_tokens_only_lower_the_divergence(sides: Any, beta: float) -> None:
    hidden, student, known, teacher = sides
    s, t = student.logits(hidden).detach(), teacher.logits(known)
    sizes = [against_stored(s, *stored(t, k, 1.5), beta, 1.5) for k in (1, 4, 16, V - 1, V)]
    for fewer, more in pairwise(sizes):
        assert (fewer <= more + 1e-5).all()
    torch.testing.assert_close(sizes[-2], sizes[-1], rtol=1e-3, atol=1e-4)


def test_the_missing_mass_is_taught_too_and_not_pushed_onto_the_kept_tokens() -> None:
    """A student that agrees on every kept token, and on what is left, is told to change nothing; renormalised over the
    kept ones, the same comparison would teach it to say nothing else."""
    teacher = torch.tensor([[3.0, 2.0, 1.0, 0.0, -1.0, -1.5]])
    student = teacher.clone().requires_grad_()
    ids, kept, tail = stored(teacher, 3, 1.0)
    against_stored(student, ids, kept, tail, 0.0, 1.0).sum().backward()
    assert student.grad.abs().max() < 1e-6
    careless = teacher.clone().requires_grad_()
    renormalised = kept.log_softmax(-1)
    (renormalised.exp() * (renormalised - careless.log_softmax(-1).gather(-1, ids))).sum().backward()
    assert careless.grad[0, 3:].min() > 1e-3

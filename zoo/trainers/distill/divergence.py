"""How far a student's next-token distributions are from a teacher's, in nats, a value for each token.

The generalised Jensen-Shannon divergence of Agarwal et al., "On-Policy Distillation of Language Models" (arXiv
2306.13649): beta KL(t || m) + (1 - beta) KL(s || m) with m = beta t + (1 - beta) s. As in TRL, beta 0 stands for the
forward KL(t || s) and beta 1 for the reverse KL(s || t): what it tends to when it is divided by beta, and by 1 - beta.
Both sides are softened by the temperature, and the divergence is multiplied by its square: the gradient of the softened
one shrinks by as much (Hinton et al., arXiv 1503.02531).

Against a teacher in memory, TRL's kernel runs over tiles of both heads, so that no logits exist in full; against a
stored one, over the kept tokens and one bucket for all others.
"""

from math import log

import torch
from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

from zoo.trainers.heads import Head

__all__ = ["against_model", "against_stored", "beta_of", "divergence_of"]

_BETA = {"forward": 0.0, "reverse": 1.0}


def beta_of(loss: str, beta: float) -> float:
    """The beta of a recipe's `loss`: 0 for `forward`, 1 for `reverse`, its own for `jsd`."""
    return _BETA.get(loss, beta)


def against_model(
    student_hidden: torch.Tensor,
    student: Head,
    teacher_hidden: torch.Tensor,
    teacher: Head,
    beta: float,
    temperature: float,
) -> torch.Tensor:
    """[N] from the last hidden states [N, H] of both; the gradient flows to the student's alone."""
    divergence, _ = ChunkedDivergenceFunction.apply(
        student_hidden, student.weight, student.bias, teacher_hidden, teacher.weight, teacher.bias, beta, temperature,
        student.scale, student.softcap, teacher.scale, teacher.softcap,
    )  # fmt: skip
    return divergence * temperature**2


def against_stored(
    student_logits: torch.Tensor,
    ids: torch.Tensor,
    log_probabilities: torch.Tensor,
    log_tail: torch.Tensor,
    beta: float,
    temperature: float,
) -> torch.Tensor:
    """[N] from the student's logits [N, V] and, of the teacher, the k most likely tokens: `ids` [N, k], their log
    probabilities [N, k] at temperature 1, and the log of what lies outside them at `temperature` [N].

    The missing mass is compared as one further outcome of both, never spread and never left out: renormalising over the
    kept tokens would teach a student to give the others nothing at all, the more so the smaller k. What is computed is
    a lower bound of the whole divergence (grouping outcomes never raises one), and equal to it for k = V.
    """
    kept = torch.log_softmax(log_probabilities.float() / temperature, dim=-1)
    softened = student_logits.float() / temperature
    total = torch.logsumexp(softened, dim=-1, keepdim=True)
    chosen = softened.gather(-1, ids) - total
    if ids.shape[-1] == student_logits.shape[-1]:  # nothing lies outside
        return divergence_of(chosen, kept, beta) * temperature**2
    outside = torch.logsumexp(softened.scatter(-1, ids, float("-inf")), dim=-1, keepdim=True) - total
    tail = log_tail.float().unsqueeze(-1)
    teacher = torch.cat([kept + torch.log1p(-tail.exp()), tail], dim=-1)
    return divergence_of(torch.cat([chosen, outside], dim=-1), teacher, beta) * temperature**2


def divergence_of(student: torch.Tensor, teacher: torch.Tensor, beta: float) -> torch.Tensor:
    """[N] from log probabilities [N, outcomes] of both, at the temperature that they have."""
    if beta == 0.0:
        return _kl(teacher, student)
    if beta == 1.0:
        return _kl(student, teacher)
    mixture = torch.logaddexp(teacher + log(beta), student + log(1 - beta))
    return beta * _kl(teacher, mixture) + (1 - beta) * _kl(student, mixture)


def _kl(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first.exp() * (first - second)).sum(-1)

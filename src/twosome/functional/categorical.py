"""Categorical distributions over ragged action sets, padded with ``-inf``."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

_VECTOR = 16  # float32 numbers of the widest vector instructions


def masked_log_softmax(logits: Tensor) -> Tensor:
    """``logits - logsumexp(logits)`` over the last axis; ``-inf`` (padding) stays ``-inf``.

    Gradients are finite everywhere: a padded entry gets none. A row's numbers do not depend on how far it is padded:
    it is widened to whole vectors, so that the sum is always taken in the same order.
    """
    width = logits.shape[-1]
    whole = torch.nn.functional.pad(logits, (0, -width % _VECTOR), value=-torch.inf)
    return torch.log_softmax(whole, dim=-1)[..., :width]


def entropy(log_probs: Tensor) -> Tensor:
    """``-sum_a p(a) log p(a)`` in nats over the last axis, with ``0 log 0 = 0``."""
    return -(log_probs.exp() * finite(log_probs)).sum(-1)


def kl_divergence(log_probs: Tensor, other_log_probs: Tensor) -> Tensor:
    """``KL(p || q) = sum_a p(a) (log p(a) - log q(a))`` in nats over the last axis, exact over the action set."""
    return (log_probs.exp() * (finite(log_probs) - finite(other_log_probs))).sum(-1)


def tsallis_entropy(log_probs: Tensor) -> Tensor:
    """``1 - sum_a p(a)^2`` over the last axis, Tsallis' entropy of order 2: how often two draws differ."""
    return 1 - log_probs.exp().square().sum(-1)


def total_variation(log_probs: Tensor, other_log_probs: Tensor) -> Tensor:
    """``1/2 sum_a |p(a) - q(a)|`` over the last axis, in [0, 1], exact over the action set."""
    return 0.5 * (log_probs.exp() - other_log_probs.exp()).abs().sum(-1)


def sample(log_probs: Tensor, generator: Generator) -> Tensor:
    """Indices drawn from each row's distribution: int64 [...] for log-probabilities [..., A].

    Drawn by inverting the cumulative distribution in float64 with one uniform number a row, so a row's draw depends
    on nothing but its own distribution and the generator.
    """
    cumulative = log_probs.detach().double().cpu().exp().cumsum(-1)
    uniform = torch.rand(log_probs.shape[:-1], generator=generator, dtype=torch.float64)
    # Scaling by the last entry keeps a draw below the total where rounding left it under 1.
    draws = (uniform * cumulative[..., -1]).unsqueeze(-1)
    return (cumulative <= draws).sum(-1).clamp(max=log_probs.shape[-1] - 1)


def finite(log_probs: Tensor) -> Tensor:
    """``log_probs`` with ``-inf`` replaced by 0, to be multiplied by probabilities that are 0 there."""
    return log_probs.masked_fill(log_probs == -torch.inf, 0.0)

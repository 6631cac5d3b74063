"""Policy gradients that add up all actions of a state, where each has a probability and a value."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from twosome.functional.categorical import finite
from twosome.functional.trust import RATIO_CAP


def mean_baseline(log_probs: Tensor, values: Tensor) -> Tensor:
    r""":math:`V(s) = \sum_a \pi(a) Q(a)`: [...] for [..., A].

    Args:
        log_probs: Of the policy, ``-inf`` where padded.
        values: Finite everywhere; what they are where padded does not matter.
    """
    return (log_probs.exp() * values).sum(-1)


def optimal_baseline(log_probs: Tensor, values: Tensor) -> Tensor:
    r"""The baseline of least variance where one action is drawn: [...] for [..., A].

    .. math::
        b^*(s) = \frac{\sum_a \pi(a) w_a Q(a)}{\sum_a \pi(a) w_a}, \qquad
        w_a = \lVert \nabla_z \log \pi(a) \rVert^2 = 1 - 2 \pi(a) + \sum_b \pi(b)^2

    with z the logits (Greensmith, Bartlett and Baxter 2004, for a softmax; the optimal token baseline of Li et al.,
    PMLR 306, uses the same norm, and estimates from samples what is a sum here). Where there is one action, or one is
    certain, there is nothing to be chosen, and it is the mean.

    Args:
        log_probs: Of the policy, ``-inf`` where padded.
        values: Finite everywhere; what they are where padded does not matter.
    """
    # As (1 - p)^2 and the squares of the others, in double precision: the difference of numbers near 1 would be noise.
    probs, worth = log_probs.double().exp(), values.double()
    squares = probs.square()
    weights = probs * ((1 - probs).square() + (squares.sum(-1, keepdim=True) - squares).clamp_min(0))
    total = weights.sum(-1)
    found = (weights * worth).sum(-1) / total
    return torch.where(total > 0, found, (probs * worth).sum(-1)).to(values.dtype)


BASELINES = {"mean": mean_baseline, "optimal": optimal_baseline}
"""What an action is compared with, by name: [...] for log-probabilities and values [..., A]."""


def log_ratios(log_probs: Tensor, acting: Tensor) -> Tensor:
    """How much likelier each action is than under ``acting``, in nats: [..., A], 0 where padded."""
    return finite(log_probs) - finite(acting)


def clipped_sum(
    log_probs: Tensor, acting: Tensor, advantages: Tensor, clip: float, clip_high: float | None = None
) -> Tensor:
    r"""PPO's objective, added up over the actions instead of drawn: a loss [...] for [..., A].

    .. math:: -\sum_a \mu(a) \min(\rho_a A_a, \mathrm{clip}(\rho_a, 1-\epsilon, 1+\epsilon_h) A_a)

    Where nothing was clipped its gradient is that of :math:`-\sum_a \pi(a) Q(a)`: mean actor-critic (Allen et al. 2017,
    arXiv 1709.00503; Petit et al. 2019, arXiv 1910.09093, say when it helps), and no baseline changes it.

    Args:
        log_probs: Of the policy, ``-inf`` where padded.
        acting: Of the policy that acted.
        advantages: Finite everywhere; what they are where padded does not matter.
        clip: :math:`\epsilon`.
        clip_high: :math:`\epsilon_h`; None for the same.
    """
    low = math.log1p(-clip) if clip < 1 else -math.inf
    high = math.log1p(clip if clip_high is None else clip_high)
    # mu times the ratio is the probability itself, and a ratio is clipped before it is a power: nothing overflows.
    held = acting.exp() * log_ratios(log_probs, acting).clamp(low, high).exp()
    return -torch.minimum(log_probs.exp() * advantages, held * advantages).sum(-1)


def trusted_sum(log_probs: Tensor, acting: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    r""":math:`-\sum_a m_a \mu(a) \min(\rho_a, 20) A_a`: a loss [...] for [..., A].

    Args:
        log_probs: Of the policy, ``-inf`` where padded.
        acting: Of the policy that acted.
        advantages: Finite everywhere; what they are where padded does not matter.
        mask: Bool :math:`m_a`, from :func:`~twosome.functional.trust.trusted`.
    """
    capped = acting.exp() * log_ratios(log_probs, acting).clamp(max=math.log(RATIO_CAP)).exp()
    return torch.where(mask, -capped * advantages, 0.0).sum(-1)

"""A trust region by the exact divergence of a state, where every action's probability is known.

Clipping bounds the ratio of the one action that was drawn: a rare action soon reaches it, a frequent one hardly ever,
however far the distribution has moved. DPPO (2026, arXiv 2602.04879, eq. 13 and 14) masks by a divergence instead,
estimated from that action, because a vocabulary is too large to add up. Admissible actions are few, so here it is
exact.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from twosome.functional.categorical import kl_divergence, total_variation

RATIO_CAP = 20.0
"""The largest ratio that counts; beyond it a sample has a constant loss, and no gradient."""


def kl_from_acting(log_probs: Tensor, acting: Tensor) -> Tensor:
    """``KL(acting || policy)`` in nats over the last axis, exact over the action set."""
    return kl_divergence(acting, log_probs)


DIVERGENCES = {"tv": total_variation, "kl": kl_from_acting}
"""How far a policy is from the one that acted, by name: float32 [...] for log-probabilities [..., A] of both."""


def trusted(divergence: Tensor, log_ratio: Tensor, advantages: Tensor, radius: float) -> Tensor:
    r"""Whether a sample may still move the policy: bool [...].

    .. math:: m = 0 \iff D(s) > \delta \text{ and } \hat A (\rho - 1) > 0

    so a state that is too far away is left alone only where the step would take it farther.

    Args:
        divergence: [...] :math:`D(s)` of the sample's state.
        log_ratio: [...] log of new over old probability of the action taken.
        advantages: [...] advantage estimates.
        radius: :math:`\delta`.
    """
    return (divergence <= radius) | (advantages * log_ratio <= 0)


def trusted_surrogate(log_ratio: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    r""":math:`-m \min(\rho, 20) \hat A` per sample.

    Args:
        log_ratio: [...] log of new over old probability of the action taken.
        advantages: [...] advantage estimates.
        mask: [...] bool :math:`m`, from :func:`trusted`.
    """
    # Capped before it is a power: beyond single precision's largest number a gradient of 0 would be none.
    return torch.where(mask, -log_ratio.clamp(max=math.log(RATIO_CAP)).exp() * advantages, 0.0)

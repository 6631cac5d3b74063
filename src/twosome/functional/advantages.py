"""Generalised advantage estimation for decisions that last several primitive steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    discounts: Tensor,
    ended: Tensor,
    gae_lambda: float,
) -> Tensor:
    r"""Semi-MDP GAE: float32 [T, N].

    .. math::
        \delta_t = r_t + d_t V(s'_t) - V(s_t), \qquad
        \hat A_t = \delta_t + d_t \lambda (1 - e_t) \hat A_{t+1}

    with :math:`d_t = \gamma^{\tau_t}` for a decision of :math:`\tau_t` primitive steps, 0 where the episode
    terminated; lambda is applied once per decision (Schulman et al. 2016, eq. 16, with the durations of TWOSOME's
    published trainer).

    Args:
        rewards: [T, N] reward of each decision, already discounted inside it.
        values: [T, N] :math:`V(s_t)`.
        next_values: [T, N] :math:`V(s'_t)` of the state that really followed, final states included.
        discounts: [T, N] :math:`d_t`; 0 where no value is to be bootstrapped.
        ended: [T, N] bool :math:`e_t`, True where the episode ended for any reason: the trace stops there.
        gae_lambda: :math:`\lambda` in [0, 1].
    """
    deltas = rewards + discounts * next_values - values
    carry = discounts * gae_lambda * (~ended).to(deltas.dtype)
    advantages = torch.zeros_like(deltas)
    running = torch.zeros_like(deltas[0])
    for t in reversed(range(len(deltas))):
        running = deltas[t] + carry[t] * running
        advantages[t] = running
    return advantages


def semi_mdp_discounts(gamma: float, durations: Tensor, stop: Tensor) -> Tensor:
    """``gamma ** duration``, and 0 where ``stop`` is True: float32, shaped like ``durations``."""
    return (gamma ** durations.float()).masked_fill(stop, 0.0)


def largest_return(rewards: Tensor, discounts: Tensor, ended: Tensor) -> float:
    """The largest absolute discounted sum of rewards from any decision on: of what was paid, no value among it.

    Args:
        rewards: [T, N] reward of each decision.
        discounts: [T, N], as in :func:`generalized_advantages`.
        ended: [T, N] bool, True where the episode ended.
    """
    nothing = torch.zeros_like(rewards)
    return float(generalized_advantages(rewards, nothing, nothing, discounts, ended, gae_lambda=1.0).abs().max())


def normalize(advantages: Tensor, rounding: float = 0.0) -> Tensor:
    """Advantages with mean 0 and standard deviation 1; a single one is only centred, and equal ones are all 0.

    Equal means: apart by no more than rounding. The deviation of equal numbers is computed as some 1e-8, not as 0, and
    to divide by it would make advantages of nothing.

    Args:
        advantages: Any shape. What is not finite makes the result NaN.
        rounding: How far apart rounding alone may have put them, where they are differences of larger numbers.
    """
    size, spread = float(advantages.abs().max()), float(advantages.max() - advantages.min())
    if math.isfinite(size) and spread <= max(rounding, 4 * torch.finfo(advantages.dtype).eps * size):
        return torch.zeros_like(advantages)
    if spread < 1e-4 * size or spread < 1e-5 or size > 1e15:
        # Single precision would lose the deviation under the mean, the epsilon or the largest number.
        precise = advantages.double()
        return ((precise - precise.mean()) / precise.std()).to(advantages.dtype)
    centred = advantages - advantages.mean()
    return centred / (advantages.std() + 1e-8)

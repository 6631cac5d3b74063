"""The losses of PPO and the estimates that watch over it (Schulman et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor


def clipped_surrogate(log_ratio: Tensor, advantages: Tensor, clip: float, clip_high: float | None = None) -> Tensor:
    r""":math:`-\min(\rho \hat A, \mathrm{clip}(\rho, 1-\epsilon, 1+\epsilon_h) \hat A)` per sample (eq. 7).

    Args:
        log_ratio: [...] log of new over old probability of the action taken.
        advantages: [...] advantage estimates.
        clip: :math:`\epsilon`.
        clip_high: :math:`\epsilon_h`, how far a probability may grow (Yu et al. 2025, DAPO, eq. 10); None for the same.
    """
    ratio = log_ratio.exp()
    high = clip if clip_high is None else clip_high
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + high) * advantages)


def clipped(log_ratio: Tensor, clip: float, clip_high: float | None = None) -> Tensor:
    """Whether a ratio is outside the range that :func:`clipped_surrogate` clips it to: bool [...]."""
    off = log_ratio.exp() - 1
    return (off < -clip) | (off > (clip if clip_high is None else clip_high))


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float | None) -> Tensor:
    r""":math:`\frac12 (V - R)^2` per sample, with PPO's pessimistic value clipping unless ``clip`` is None."""
    loss = (values - returns) ** 2
    if clip is not None:
        clipped = old_values + (values - old_values).clamp(-clip, clip)
        loss = torch.maximum(loss, (clipped - returns) ** 2)
    return 0.5 * loss


def approximate_kl(log_ratio: Tensor) -> Tensor:
    r""":math:`(\rho - 1) - \log \rho` per sample: an unbiased, never negative estimate of KL(old || new).

    Schulman 2020, "Approximating KL divergence", estimator k3.
    """
    return log_ratio.exp() - 1 - log_ratio


def explained_variance(values: Tensor, returns: Tensor) -> float:
    """``1 - Var[returns - values] / Var[returns]``: 1 is perfect, 0 no better than a constant; 0 if returns are.

    Returns that differ by no more than rounding are constant: their variance would be noise to divide by.
    """
    variance = returns.var(unbiased=False)
    constant = returns.max() - returns.min() <= 4 * torch.finfo(returns.dtype).eps * returns.abs().max()
    if variance == 0 or (constant and bool(returns.isfinite().all())):
        return 0.0
    return float(1 - (returns - values).var(unbiased=False) / variance)

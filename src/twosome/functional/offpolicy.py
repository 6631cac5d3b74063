"""What another policy would have earned, from decisions whose probabilities were recorded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, from the normal approximation."""

    value: float
    low: float
    high: float


def effective_sample_size(weights: Tensor) -> float:
    r""":math:`(\sum w)^2 / \sum w^2`: how many equally weighted decisions say as much; 0 if all weights are."""
    weights = weights.double()
    squares = float(weights.square().sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def self_normalised(weights: Tensor, rewards: Tensor) -> Estimate:
    r"""The mean reward of the policy that the weights lead to: :math:`\sum w r / \sum w`.

    Unlike the plain mean of :math:`w r` it is a mean of rewards that were paid, and adding a constant to all rewards
    adds it to the estimate; it has a bias that vanishes with the number of decisions (Swaminathan and Joachims 2015).

    Args:
        weights: [N] probability under that policy over the recorded one, of what was done.
        rewards: [N].
    """
    weights, rewards = weights.double(), rewards.double()
    value = float((weights * rewards).sum() / weights.sum())
    return _around(value, _influence(weights, rewards))


def self_normalised_gain(weights: Tensor, before: Tensor, rewards: Tensor) -> Estimate:
    """How much more one policy earns than another, both estimated from the same decisions.

    What both share cancels out, so the interval is narrower than those of the two estimates suggest.

    Args:
        weights: [N] of the one.
        before: [N] of the other.
        rewards: [N].
    """
    one, other, rewards = weights.double(), before.double(), rewards.double()
    value = float((one * rewards).sum() / one.sum() - (other * rewards).sum() / other.sum())
    return _around(value, _influence(one, rewards) - _influence(other, rewards))


def _influence(weights: Tensor, rewards: Tensor) -> Tensor:
    """What each decision contributes to the error of the estimate, times their number (delta method)."""
    mean = (weights * rewards).sum() / weights.sum()
    return weights * (rewards - mean) / weights.mean()


def _around(value: float, influence: Tensor) -> Estimate:
    count = len(influence)
    error = float(influence.square().sum().sqrt()) / count * (count / max(count - 1, 1)) ** 0.5
    return Estimate(value, value - Z95 * error, value + Z95 * error)


def recorded_value(recorded: Tensor, worth: Tensor) -> Tensor:
    """What the recorded policy earns in each state if an action is worth ``worth``, exact over its actions: [N].

    Args:
        recorded: [N, A] log-probabilities, ``-inf`` where padded.
        worth: [N, A]; what it is where padded does not matter.
    """
    return (recorded.exp() * torch.where(recorded == -torch.inf, 0.0, worth)).sum(-1)

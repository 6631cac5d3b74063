"""The policy that is best for given values and stays near a prior: the prior times exp(value / temperature)."""

from __future__ import annotations

import torch
from torch import Tensor

from twosome.functional.categorical import kl_divergence, masked_log_softmax

_HALVINGS = 60  # of an interval over the logarithm of a temperature


def tempered(prior: Tensor, values: Tensor, temperature: Tensor) -> Tensor:
    r"""Log-probabilities of the policy that maximises the mean value less its divergence from the prior.

    .. math::
        \pi^* = \arg\max_\pi \langle \pi, Q \rangle - \beta\, \mathrm{KL}(\pi \,\|\, p)
        \quad\Longrightarrow\quad \log \pi^* = \log p + Q / \beta - \log Z

    (Abdolmaleki et al. 2018, eq. 3 and 4, with the sum over all actions in place of their samples).

    Args:
        prior: Log-probabilities [..., A], ``-inf`` where padded; there the result is, too.
        values: [..., A]; what they are where padded does not matter.
        temperature: Beta, positive, broadcast over the last axis; where it is infinite the result is the prior, to
            the last bit.
    """
    real = prior != -torch.inf
    found = masked_log_softmax(prior + (values / temperature).masked_fill(~real, 0.0))
    return torch.where(torch.isinf(temperature), prior, found)


def tempered_value(prior: Tensor, values: Tensor, temperature: Tensor) -> Tensor:
    r"""The maximum itself, :math:`\beta \log \sum_a p(a) \exp(Q(a) / \beta)`: [...] for [..., A], finite temperatures.

    Args:
        prior: Log-probabilities, ``-inf`` where padded.
        values: Of the same shape.
        temperature: [..., 1].
    """
    # In double precision and from the prior's own sum: at high temperatures rounding would be multiplied by them.
    precise, real = prior.double(), prior != -torch.inf
    scaled = precise + (values.double() / temperature.double()).masked_fill(~real, 0.0)
    excess = torch.logsumexp(scaled, -1) - torch.logsumexp(precise, -1)
    return (temperature.double().squeeze(-1) * excess).to(values.dtype)


def temperature_for_limit(prior: Tensor, values: Tensor, limit: Tensor, lowest: Tensor) -> Tensor:
    r"""The lowest temperature, row by row, at which ``tempered`` is no further than ``limit`` from the prior.

    :math:`\mathrm{KL}(\pi^*_\beta \,\|\, p)` falls as beta grows, so it is found by halving: the divergence is a sum
    over the admissible actions, so the limit is met for every decision by itself, where maximum a posteriori policy
    optimisation bounds an estimate of the mean (Abdolmaleki et al. 2018, section 4.1).

    Args:
        prior: Log-probabilities [B, A], ``-inf`` where padded.
        values: [B, A].
        limit: Nats, positive, [B, 1].
        lowest: No temperature is below that, [B, 1].

    Returns:
        [B, 1], float64, on the side on which the limit holds.
    """
    prior, values = prior.double(), values.double()
    low = lowest.double().log()
    widest = values.masked_fill(prior == -torch.inf, 0.0)
    spread = (widest.amax(-1, keepdim=True) - widest.amin(-1, keepdim=True)).clamp_min(1e-300)
    # KL <= spread / temperature, so there the limit holds.
    high = torch.maximum(low, (spread / limit.double()).log())

    def holds(at: Tensor) -> Tensor:
        return kl_divergence(tempered(prior, values, at.exp()), prior).unsqueeze(-1) <= limit

    high = torch.where(holds(low), low, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fits = holds(middle)
        high, low = torch.where(fits, middle, high), torch.where(fits, low, middle)
    return high.exp()


def mixed_with_uniform(log_probs: Tensor, share: float) -> Tensor:
    """``(1 - share) p + share / A`` over the A real actions of each row, as log-probabilities; with 0 the same bits."""
    if share == 0:
        return log_probs
    real = log_probs != -torch.inf
    uniform = real / real.sum(-1, keepdim=True)
    return ((1 - share) * log_probs.exp() + share * uniform).log()

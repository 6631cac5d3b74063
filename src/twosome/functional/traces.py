"""Returns of stored episodes under another policy than the one that acted."""

from __future__ import annotations

import torch
from torch import Tensor


def retrace_errors(deltas: Tensor, discounts: Tensor, traces: Tensor) -> Tensor:
    r"""The corrected errors of values along episodes: [L, E], like all arguments.

    .. math::
        G_t = \delta_t + d_t c_{t+1} G_{t+1}, \qquad
        \delta_t = r_t + d_t V(s_{t+1}) - Q(s_t, a_t), \qquad
        c_t = \lambda \min(1, \pi(a_t | s_t) / \mu(a_t | s_t))

    (Retrace, Munos et al. 2016, eq. 3 and 4, on the semi-MDP clock: :math:`d_t = \gamma^{\tau_t}`, 0 where the episode
    terminated.) :math:`Q + G` is the return of what was done, as far as the policy would have done it, and the value
    from there on.

    Args:
        deltas: 0 after an episode's last decision.
        discounts: Of each decision.
        traces: :math:`c_t` of each decision itself; 0 after an episode's last one.
    """
    found = torch.zeros_like(deltas)
    running = torch.zeros_like(deltas[0])
    carry = discounts[:-1] * traces[1:]
    found[-1] = running = deltas[-1]
    for step in range(len(deltas) - 2, -1, -1):
        running = deltas[step] + carry[step] * running
        found[step] = running
    return found


def shares(numbers: Tensor) -> Tensor:
    """One over how often each of the numbers is among them, as float64: what is there nine times counts once in all."""
    _, place, often = torch.unique(numbers, return_inverse=True, return_counts=True)
    found: Tensor = 1.0 / often[place].double()
    return found

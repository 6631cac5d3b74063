"""How good actions were, judged by other episodes that began alike: no critic is asked.

All sums are of Python's exact kind (:func:`math.fsum`), so nothing depends on the order of a group's members.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

_EPSILON = 1e-6
"""Added to a deviation before something is divided by it, as GRPO's authors do."""


@dataclass(frozen=True)
class Trajectory:
    """An episode as a group judges it.

    Attributes:
        keys: What tells its states apart, one for each decision.
        rewards: What each decision was paid.
        durations: Primitive steps that each took.
        followed: The key of the state in which a limit cut it; None where it came to an end.
    """

    keys: Sequence[Hashable]
    rewards: Sequence[float]
    durations: Sequence[int]
    followed: Hashable | None = None

    def returns(self, gamma: float) -> list[float]:
        r"""The return from each decision on, in primitive steps as the clock.

        .. math:: G_t = \sum_{k \ge t} \gamma^{\tau_k - \tau_t} r_k

        with :math:`\tau_k` the primitive steps before decision k (Feng et al. 2025, GiGPO, eq. 5, on the semi-MDP's
        clock).
        """
        found, ahead = [0.0] * len(self.rewards), 0.0
        for t in reversed(range(len(found))):
            ahead = self.rewards[t] + gamma ** self.durations[t] * ahead
            found[t] = ahead
        return found


@dataclass(frozen=True)
class Judging:
    """The settings of a judgement.

    Attributes:
        gamma: Discount per primitive step.
        gae_lambda: Lambda of the advantages of :func:`state_value`, once per decision.
        scale: Whether to divide by the group's standard deviation.
        state_weight: Omega of :func:`state_group`.
    """

    gamma: float
    gae_lambda: float = 1.0
    scale: bool = False
    state_weight: float = 1.0


Advantages = list[list[float]]
"""For every member of a group the advantage of each of its decisions."""
Known = Mapping[Any, Sequence[float]]
"""For states that earlier groups visited, their returns from there on."""
NOTHING: Known = {}


def group_mean(members: Sequence[Trajectory], judging: Judging, known: Known = NOTHING) -> Advantages:
    r""":math:`A_{i,t} = (G_i - \bar G) / F` with the mean of all members, the same for all decisions of an episode.

    With F the standard deviation it is GRPO's (Shao et al. 2024, arXiv 2402.03300, section 4.1.2), with 1 that of Dr.
    GRPO (Liu et al. 2025, arXiv 2503.20783). The own return in the mean makes it smaller by (n - 1) / n, no more.
    """
    returns = _totals(members, judging)
    return _constant(members, [(total - fmean(returns)) / _spread(returns, judging) for total in returns])


def leave_one_out(members: Sequence[Trajectory], judging: Judging, known: Known = NOTHING) -> Advantages:
    r""":math:`A_{i,t} = (G_i - \frac{1}{n-1} \sum_{j \ne i} G_j) / F`, the same for all decisions of an episode.

    Unbiased where F is 1, as the baseline knows nothing of the episode (Kool et al. 2019; Ahmadian et al. 2024, RLOO,
    arXiv 2402.14740).
    """
    returns, n = _totals(members, judging), len(members)
    own = [n / (n - 1) * (total - fmean(returns)) / _spread(returns, judging) for total in returns]
    return _constant(members, own)


def state_group(members: Sequence[Trajectory], judging: Judging, known: Known = NOTHING) -> Advantages:
    r""":math:`A = A^E + \omega A^S`: the episode's, and that among all visits of the same state.

    :math:`A^S_t = (G_t - \bar G(s_t)) / F(s_t)`, and 0 in a state that was visited once (Feng et al. 2025, GiGPO,
    arXiv 2505.10978, eq. 3 and 6 to 8). Prompts of a world of symbols repeat exactly, so no similarity is needed.
    Published, the visits are the group's own; ``known`` adds those of earlier ones.
    """
    found = group_mean(members, judging)
    for key, visits in _visits(members, judging).items():
        returns = [*(total for _, _, total in visits), *known.get(key, ())]
        mean, spread = fmean(returns), _spread(returns, judging)
        for member, t, total in visits:
            found[member][t] += judging.state_weight * (total - mean) / spread
    return found


def state_value(members: Sequence[Trajectory], judging: Judging, known: Known = NOTHING) -> Advantages:
    r"""Generalised advantages on :math:`V(s)`, the mean return of all visits of a state.

    .. math::
        \delta_t = r_t + \gamma^{d_t} V(s_{t+1}) - V(s_t), \qquad A_t = \delta_t + \gamma^{d_t} \lambda A_{t+1}

    (GAGPO 2026, arXiv 2605.13217, on the semi-MDP's clock). An episode that was cut goes on from V of the state it was
    cut in, if that was visited, and else ends with what it was paid. Published, the visits are the group's own;
    ``known`` adds those of earlier ones.
    """
    values = {key: fmean(returns) for key, returns in known.items()}
    for key, visits in _visits(members, judging).items():
        values[key] = fmean([*(total for _, _, total in visits), *known.get(key, ())])
    found = [_generalized(member, values, judging) for member in members]
    spread = _spread([advantage for each in found for advantage in each], judging)
    return [[advantage / spread for advantage in each] for each in found]


BASELINES: dict[str, Callable[[Sequence[Trajectory], Judging, Known], Advantages]] = {
    "group_mean": group_mean,
    "leave_one_out": leave_one_out,
    "state_group": state_group,
    "state_value": state_value,
}


def returns_by_state(members: Sequence[Trajectory], gamma: float) -> dict[Any, list[float]]:
    """For every state of a group the returns from each of its visits on, in the order of its members."""
    found: defaultdict[Any, list[float]] = defaultdict(list)
    for member in members:
        for key, total in zip(member.keys, member.returns(gamma), strict=True):
            found[key].append(total)
    return dict(found)


def _totals(members: Sequence[Trajectory], judging: Judging) -> list[float]:
    return [member.returns(judging.gamma)[0] for member in members]


def _constant(members: Sequence[Trajectory], advantages: Sequence[float]) -> Advantages:
    return [[advantage] * len(member.rewards) for member, advantage in zip(members, advantages, strict=True)]


def _spread(numbers: Sequence[float], judging: Judging) -> float:
    """What advantages are divided by: the numbers' standard deviation, or 1."""
    if not judging.scale:
        return 1.0
    mean = fmean(numbers)
    return math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / max(1, len(numbers) - 1)) + _EPSILON


def _visits(members: Sequence[Trajectory], judging: Judging) -> Mapping[Hashable, list[tuple[int, int, float]]]:
    """For every state, who was there when, and the return from there on."""
    visits: defaultdict[Hashable, list[tuple[int, int, float]]] = defaultdict(list)
    for number, member in enumerate(members):
        for t, (key, total) in enumerate(zip(member.keys, member.returns(judging.gamma), strict=True)):
            visits[key].append((number, t, total))
    return visits


def _generalized(member: Trajectory, values: Mapping[Hashable, float], judging: Judging) -> list[float]:
    found, ahead = [0.0] * len(member.rewards), 0.0
    following = values.get(member.followed, 0.0) if member.followed is not None else 0.0
    for t in reversed(range(len(found))):
        discount, value = judging.gamma ** member.durations[t], values[member.keys[t]]
        ahead = member.rewards[t] + discount * following - value + discount * judging.gae_lambda * ahead
        found[t], following = ahead, value
    return found

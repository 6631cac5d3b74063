"""Whether an agent's probabilities mean what they say: calibration against optimal actions, and a fitted temperature.

Only a world whose states are all known can say this exactly: which actions are optimal, and how often a policy comes to
each state, are then computed, not sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

BINS = 15
"""As many as in Guo et al. (2017)."""
COLDEST, WARMEST = 0.01, 100.0
"""Between these a temperature is looked for; at an end there is no best one."""
_GRID = 161
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Bin:
    """Decisions whose action had a probability between ``low`` (not included) and ``high``.

    Attributes:
        low: Of the probability of the action that was taken.
        high: Of the same.
        share: Of all decisions.
        confidence: Mean probability of the action that was taken.
        optimal: How often it was optimal.
    """

    low: float
    high: float
    share: float
    confidence: float
    optimal: float


def reliability(taken: Floats, probabilities: Floats, optimal: Booleans, bins: int = BINS) -> tuple[Bin, ...]:
    """Decisions by the probability of the action that was taken; bins without any are left out.

    Args:
        taken: float64 [S, A], how often each action is taken in each state, in whatever unit.
        probabilities: float64 [S, A], what the agent gives it.
        optimal: bool [S, A], whether it is an optimal one.
        bins: Bins of equal width.
    """
    share = taken / taken.sum()
    place = np.clip(np.ceil(probabilities * bins).astype(np.int64) - 1, 0, bins - 1)
    found = []
    for number in range(bins):
        weights = np.where(place == number, share, 0.0)
        total = float(weights.sum())
        if total > 0:
            confidence, right = float((weights * probabilities).sum()), float(weights[optimal].sum())
            found.append(Bin(number / bins, (number + 1) / bins, total, confidence / total, right / total))
    return tuple(found)


def calibration_error(rows: tuple[Bin, ...]) -> float:
    """How far probabilities are from what they mean, on average over decisions: from 0, they mean it, to 1.

    The expected calibration error of Guo et al. ("On Calibration of Modern Neural Networks", ICML 2017, equation 3),

        ECE = sum_b share_b * | optimal_b - confidence_b |,

    where their samples are decisions, weighted by how often the policy comes to them and takes the action, their
    confidence is the probability of the action that is taken, and "correct" is "an optimal action". For greedy play
    that is theirs to the letter: the most probable action alone. Where several actions are optimal the agent may divide
    its probability among them and never be wrong; this counts as too little confidence.
    """
    return float(sum(row.share * abs(row.optimal - row.confidence) for row in rows))


def log_loss(visits: Floats, log_probs: Floats, optimal: Booleans, temperature: float) -> float:
    """Mean negative log-probability, in nats, that an optimal action is taken at a temperature.

        L(T) = - sum_s w(s) log sum_{a optimal in s} p_T(a | s),        p_T(a | s) ~ p(a | s)**(1 / T)

    with ``w`` the share of decisions that are taken in ``s``.

    Args:
        visits: float64 [S], how often a decision is taken in each state, in whatever unit.
        log_probs: float64 [S, A] at temperature 1; ``-inf`` where not admissible.
        optimal: bool [S, A].
        temperature: More than 0.
    """
    here = visits > 0
    scaled = log_probs[here] / temperature
    right = np.where(optimal[here], scaled, -np.inf)
    with np.errstate(divide="ignore"):
        lost = _log_sum_exp(scaled) - _log_sum_exp(right)
    return float((visits[here] * lost).sum() / visits.sum())


def fit_temperature(visits: Floats, log_probs: Floats, optimal: Booleans) -> float:
    """The temperature of least :func:`log_loss`, from :data:`COLDEST` to :data:`WARMEST`.

    Temperature scaling (Guo et al. 2017, section 4.2: one number divides all logits, fitted by negative log-likelihood)
    with a set of right answers in place of one label, and expectation in place of a sample. As a set may make the loss
    uneven, a grid is looked at before the best of it is refined by golden sections.
    """

    def loss(logarithm: float) -> float:
        return log_loss(visits, log_probs, optimal, float(np.exp(logarithm)))

    grid = np.linspace(np.log(COLDEST), np.log(WARMEST), _GRID)
    best = int(np.argmin([loss(point) for point in grid]))
    if best in (0, _GRID - 1):
        return COLDEST if best == 0 else WARMEST
    return float(np.exp(_golden(loss, float(grid[best - 1]), float(grid[best + 1]))))


def _golden(function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-9) -> float:
    """Where a function with one valley between two places is lowest."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > tolerance:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2


def _log_sum_exp(values: Floats) -> Floats:
    highest = np.maximum(values.max(axis=1, keepdims=True), -1e300)  # of a row without any, too
    summed: Floats = highest[:, 0] + np.log(np.exp(values - highest).sum(axis=1))
    return summed

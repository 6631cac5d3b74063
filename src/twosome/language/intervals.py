"""Intervals for paired differences: the same units were measured with the adapter off and on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from twosome.evaluation.sampled import Z95

Array = NDArray[np.float64]
Interval = tuple[float, float]

RESAMPLES = 4000
_CHUNK = 4_000_000  # numbers drawn at once


def paired_proportions(gained: int, lost: int, n: int) -> Interval:
    """The 95 % score interval of ``(gained - lost) / n``, a difference of two proportions of the same examples.

    Unlike a bootstrap it has a width when no example changed, because others might have. Tango, Statistics in Medicine
    17 (1998) 891-908: all differences that a score test does not reject.

    Args:
        gained: Examples right only with the adapter on.
        lost: Examples right only with the adapter off.
        n: All examples.
    """
    if not 0 <= gained + lost <= n or n < 1:
        raise ValueError(f"expected gained + lost within 0 to n, got {gained} + {lost} of {n}")
    estimate = (gained - lost) / n

    def score(difference: float) -> float:
        return _score(gained, lost, n, difference)

    return _root(score, Z95, -1.0, estimate), _root(score, -Z95, estimate, 1.0)


def _score(gained: int, lost: int, n: int, difference: float) -> float:
    """Tango's statistic: how many standard errors the observed difference lies above ``difference``."""
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    chance = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)  # of being lost, most likely under the difference
    variance = n * (2 * chance + difference * (1 - difference))
    excess = gained - lost - n * difference
    if variance <= 0:
        return math.copysign(math.inf, excess) if excess else 0.0
    return excess / math.sqrt(variance)


def _root(score: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Where the falling ``score`` passes ``level``, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        if score(middle) > level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def paired_bootstrap(units: Array, statistic: Callable[[Array], Array], *, seed: int = 0) -> Interval | None:
    """The 95 % percentile interval of a statistic of column sums, units being drawn with replacement.

    A unit keeps everything that was measured on it, off and on, so what units differ in cancels out.

    Args:
        units: float64 [U, K], a row of sums for every independent unit (a document, a decision, an example).
        statistic: Maps column sums [R, K] of R draws to R numbers.
        seed: Of the draws.

    Returns:
        None for fewer than two units, which say nothing about how much units differ.
    """
    count = len(units)
    if count < 2:
        return None
    generator, found = np.random.default_rng(seed), []
    rows = max(1, min(RESAMPLES, _CHUNK // count))
    for start in range(0, RESAMPLES, rows):
        drawn = generator.multinomial(count, np.full(count, 1 / count), size=min(rows, RESAMPLES - start))
        found.append(statistic(drawn @ units))
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    return float(low), float(high)

"""What a handful of runs can and cannot say: interquartile means, profiles, comparisons, each with its interval.

After Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (NeurIPS 2021,
arXiv 2108.13264), with the definitions of their library rliable; tests/report/test_statistics.py holds its numbers.

Scores come as *strata*: for every task the scores of its runs, float [runs]. A bootstrap draws runs with replacement
within each task, never across tasks, and its 2.5 % and 97.5 % quantiles are the interval. Fewer than about five runs
make such an interval too narrow, and one run makes none, so every :class:`Interval` says how many runs it stands for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Statistic = Callable[[Sequence[Scores]], Scores]
"""Strata of shape [..., runs] to numbers of shape [...]."""

REPETITIONS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A number, the ends of its 95 % interval, and what it stands on.

    Attributes:
        value: The statistic of the runs themselves; may be infinite where it counts decisions that never sufficed.
        low: Lower end, or None where no task has more than one run.
        high: Upper end, or None likewise.
        runs: How many runs, over all tasks.
    """

    value: float
    low: float | None
    high: float | None
    runs: int

    @property
    def known(self) -> bool:
        """Whether there is an interval at all."""
        return self.low is not None


def bootstrap(
    strata: Sequence[Sequence[float]],
    statistic: Statistic,
    *,
    repetitions: int = REPETITIONS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """A statistic of runs with its stratified percentile bootstrap interval.

    Args:
        strata: For every task, the scores of its runs.
        statistic: Computed from strata, over their last axis.
        repetitions: How many resamples.
        level: Probability that the interval claims.
        seed: Seeds the resampling, so that the same runs give the same interval.

    Raises:
        ValueError: If a task has no run.
    """
    scores = [np.asarray(stratum, dtype=np.float64) for stratum in strata]
    if not scores or not all(len(stratum) for stratum in scores):
        raise ValueError("every task needs at least one run")
    value = float(statistic(scores))
    runs = sum(len(stratum) for stratum in scores)
    if max(len(stratum) for stratum in scores) < 2:
        return Interval(value, None, None, runs)
    generator = np.random.default_rng(seed)
    resampled = [stratum[generator.integers(len(stratum), size=(repetitions, len(stratum)))] for stratum in scores]
    found = statistic(resampled)
    # No interpolation: between a number and infinity there is none. With 2000 resamples it changes nothing else.
    low = np.quantile(found, (1 - level) / 2, method="lower")
    high = np.quantile(found, (1 + level) / 2, method="higher")
    return Interval(value, float(low), float(high), runs)


def iqm(strata: Sequence[Scores]) -> Scores:
    """Interquartile mean of all scores together: the mean of the middle half.

    Less swayed by one odd run than the mean, less wasteful than the median. As in rliable a quarter, rounded down, is
    cut from each end, so up to three scores it is the plain mean.
    """
    scores = np.sort(np.concatenate(strata, axis=-1), axis=-1)
    cut = scores.shape[-1] // 4
    middle: Scores = scores[..., cut : scores.shape[-1] - cut].mean(-1)
    return middle


def median(strata: Sequence[Scores]) -> Scores:
    """Median of all scores together; of an even number the upper one of the middle two, so that infinity is allowed."""
    scores = np.sort(np.concatenate(strata, axis=-1), axis=-1)
    middle: Scores = scores[..., scores.shape[-1] // 2]
    return middle


def performance_profile(strata: Sequence[Sequence[float]], thresholds: Sequence[float]) -> list[Interval]:
    """For every threshold, the fraction of runs that score above it (run-score distribution), with its interval."""

    def above(threshold: float) -> Statistic:
        return lambda scores: np.asarray((np.concatenate(scores, axis=-1) > threshold).mean(-1))

    return [bootstrap(strata, above(threshold)) for threshold in thresholds]


def probability_of_improvement(better: Sequence[Sequence[float]], worse: Sequence[Sequence[float]]) -> Interval:
    """How likely a run of one agent scores higher than a run of another on the same task, averaged over tasks.

    A tie counts half (the Mann-Whitney statistic over the number of pairs).

    Args:
        better: For every task, the scores of the first agent's runs.
        worse: For the same tasks in the same order, those of the second.

    Returns:
        The probability; ``runs`` counts those of both agents.
    """
    if len(better) != len(worse):
        raise ValueError(f"both agents need scores on the same tasks, got {len(better)} and {len(worse)}")
    tasks = len(better)

    def statistic(scores: Sequence[Scores]) -> Scores:
        pairs = zip(scores[:tasks], scores[tasks:], strict=True)
        return np.asarray(np.mean([_wins(first, second) for first, second in pairs], axis=0))

    return bootstrap([*better, *worse], statistic)


def decisions_to_threshold(decisions: Sequence[int], scores: Sequence[float | None], threshold: float) -> float:
    """Decisions at the first point of a learning curve that reaches a threshold, or infinity.

    Args:
        decisions: Decisions taken at every point, increasing.
        scores: What was achieved there; None where it is not known yet.
        threshold: The least score that counts.
    """
    for taken, score in zip(decisions, scores, strict=True):
        if score is not None and score >= threshold:
            return float(taken)
    return math.inf


def _wins(first: Scores, second: Scores) -> Scores:
    """Fraction of pairs [..., a] x [..., b] in which the first is higher, ties half: [...]."""
    higher = first[..., :, None] - second[..., None, :]
    fraction: Scores = ((higher > 0) + 0.5 * (higher == 0)).mean((-2, -1))
    return fraction

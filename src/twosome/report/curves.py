"""Learning curves: what the last episodes of training achieved, over decisions, with a band over seeds."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from twosome.report.grouping import Group
from twosome.report.reading import Run, number
from twosome.report.statistics import Interval, bootstrap, decisions_to_threshold, iqm, median
from twosome.success import Outcome, way

WINDOW = 20
"""Episodes whose mean is a point of a curve."""
LAST = 100
"""Episodes at the end of training whose mean is a run's final training performance."""
SUFFICIENT = 0.95
"""Part of the optimal return that counts as having learned the task."""
MOST_POINTS = 120
"""Points of a drawn curve."""
RETURN, SUCCESS = "discounted_return", "success"


@dataclass(frozen=True)
class Curve:
    """A run's achievement after every update.

    Attributes:
        decisions: Decisions taken so far, increasing.
        scores: Mean of the last :data:`WINDOW` episodes that have ended, or of as many as there are.
        episodes: How many have ended.
    """

    decisions: Sequence[int]
    scores: Sequence[float]
    episodes: Sequence[int]

    def at(self, decisions: int) -> float:
        """The newest score at that point."""
        return self.scores[max(0, bisect.bisect_right(self.decisions, decisions) - 1)]


@dataclass(frozen=True)
class Point:
    """A point of a group's curve."""

    decisions: int
    score: Interval


def run_curve(run: Run, name: str) -> Curve | None:
    """The curve of a run, or None if no episode ended.

    Args:
        run: metrics.jsonl tells how many episodes ended in an update, episodes.jsonl, in the same order, how.
        name: ``discounted_return`` or ``success``.
    """
    outcomes = _outcomes(run, name)
    decisions, scores, episodes = [], [], []
    ended = 0
    for line in run.metrics:
        ended += int(number(line.get("episodes")) or 0)
        last = outcomes[max(0, ended - WINDOW) : ended]
        if last:
            decisions.append(int(line["decisions"]))
            scores.append(sum(last) / len(last))
            episodes.append(ended)
    return Curve(decisions, scores, episodes) if decisions else None


def group_curve(group: Group, name: str) -> list[Point]:
    """Interquartile mean over the seeds, with its interval, wherever every seed has a score."""
    curves = [curve for run in group.runs if (curve := run_curve(run, name)) is not None]
    if not curves:
        return []
    begin, end = max(curve.decisions[0] for curve in curves), min(curve.decisions[-1] for curve in curves)
    grid = sorted({at for curve in curves for at in curve.decisions if begin <= at <= end})
    return [Point(at, bootstrap([[curve.at(at) for curve in curves]], iqm)) for at in _thinned(grid)]


def first_performance(group: Group, name: str) -> Interval | None:
    """The first :data:`WINDOW` episodes of training: interquartile mean over seeds of their means."""
    means = [mean for run in group.runs if (mean := _mean(run, name, slice(0, WINDOW))) is not None]
    return bootstrap([means], iqm) if means else None


def last_performance(run: Run, name: str) -> float | None:
    """Mean of the last :data:`LAST` episodes of a run's training, or None if none ended."""
    return _mean(run, name, slice(-LAST, None))


def learned_after(group: Group, optimum: float) -> Interval | None:
    """Decisions until the mean return of :data:`WINDOW` episodes reached 95 % of the optimum: median over seeds.

    A run that never did counts as infinity, so the median is infinite where half of the runs did not.
    None where no run has a curve, or the optimum is not positive.
    """
    needed = []
    for run in group.runs:
        curve = run_curve(run, RETURN)
        if curve is not None:
            scores = [score if n >= WINDOW else None for score, n in zip(curve.scores, curve.episodes, strict=True)]
            needed.append(decisions_to_threshold(curve.decisions, scores, SUFFICIENT * optimum))
    return bootstrap([needed], median) if needed and optimum > 0 else None


def _mean(run: Run, name: str, part: slice) -> float | None:
    outcomes = _outcomes(run, name)[part]
    return sum(outcomes) / len(outcomes) if outcomes else None


def _outcomes(run: Run, name: str) -> list[float]:
    """What every episode of a run achieved; nothing, where its world does not say what success is."""
    if name != SUCCESS:
        return [found for episode in run.episodes if (found := _outcome(episode.get(name))) is not None]
    told = [(episode.get(name), episode.get("told") is not False) for episode in run.episodes if name in episode]
    if way(Outcome(None if success is None else bool(success), said) for success, said in told) is None:
        return []
    return [_outcome(success) or 0.0 for success, _ in told]


def _outcome(value: object) -> float | None:
    return float(value) if isinstance(value, bool) else number(value)


def _thinned(grid: Sequence[int]) -> list[int]:
    """At most :data:`MOST_POINTS` of the grid, evenly, with both ends."""
    if len(grid) <= MOST_POINTS:
        return list(grid)
    step = (len(grid) - 1) / (MOST_POINTS - 1)
    return [grid[round(index * step)] for index in range(MOST_POINTS)]

"""Measurements put together: for every agent and task one number, with the interval over its seeds."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from twosome.report.grouping import TRAINED_AGENTS, agent_label
from twosome.report.reading import Measured
from twosome.report.statistics import Interval, bootstrap, iqm

SUCCESS, RETURN = "success", "discounted_return"
MEASURES = (SUCCESS, RETURN)
UNKNOWN = Interval(math.nan, None, None, runs=1)
"""A rate of success where the world does not say what success is."""


class Key(NamedTuple):
    """What a measurement is of; its seeds are the replicates."""

    agent: str
    normalization: str | None
    trained_on: str | None
    task: str
    control: str | None = None
    greedy: bool = False
    variant: str = ""
    """What sets the settings of runs apart that were not measured; see :class:`twosome.report.grouping.Group`."""

    @property
    def label(self) -> str:
        """What the agent is called."""
        return agent_label(self.agent, self.normalization) + (f", {self.variant}" if self.variant else "")


@dataclass(frozen=True)
class Cell:
    """What an agent achieves on a task.

    Attributes:
        success: Rate of success; its value is NaN where it is unknown.
        discounted_return: Mean return.
        optimum: The best possible return, or None where it is not known.
        method: How it was measured, for people.
        replicates: The measurements, one per seed.
        calibration_error: Of the probabilities of what it does, or None where that is not known of all.
    """

    success: Interval
    discounted_return: Interval
    optimum: float | None
    method: str
    replicates: Sequence[Measured]
    calibration_error: Interval | None = None

    @property
    def of_optimum(self) -> float | None:
        """Return as a part of the best possible, or None where that is not positive."""
        return self.discounted_return.value / self.optimum if self.optimum and self.optimum > 0 else None


def cells(measurements: Iterable[Measured]) -> dict[Key, Cell]:
    """All measurements by what they are of; of two with the same seed the later one counts."""
    by_key: dict[Key, dict[int | None, Measured]] = defaultdict(dict)
    for one in measurements:
        key = Key(one.agent, one.normalization, one.trained_on, one.task, one.control, one.greedy)
        by_key[key][one.seed] = one
    return {key: cell_of(list(seeds.values())) for key, seeds in by_key.items()}


def cell_of(replicates: Sequence[Measured]) -> Cell:
    """Replicates put together."""
    first = replicates[0]
    return Cell(
        success=_together([one.success for one in replicates], first.success_interval),
        discounted_return=_together([*(one.discounted_return for one in replicates)], first.return_interval),
        optimum=next((one.optimum for one in replicates if one.optimum is not None), None),
        method=" and ".join(dict.fromkeys(_method(one) for one in replicates)),
        replicates=replicates,
        calibration_error=_calibration([one.calibration_error for one in replicates]),
    )


def own_task(found: Mapping[Key, Cell]) -> dict[Key, Cell]:
    """The cells of agents where they were trained, or that were not trained at all; sampled play, no controls."""
    return {
        key: cell
        for key, cell in found.items()
        if key.trained_on in (None, key.task) and key.control is None and not key.greedy
    }


def principal(found: Mapping[Key, Cell]) -> tuple[str, str | None] | None:
    """The trained language model that was measured most: agent and normalization. None where none was."""
    counts = Counter((key.agent, key.normalization) for key in found if key.agent in TRAINED_AGENTS)
    return counts.most_common(1)[0][0] if counts else None


def scores(cell: Cell, score: Callable[[Measured], float]) -> list[float]:
    """A score of every replicate."""
    return [score(one) for one in cell.replicates]


def apart(first: Interval, second: Interval) -> int:
    """1 if the first is higher and the intervals do not touch, -1 if it is lower, else 0.

    A number without an interval stands for itself; equal up to rounding is not apart.
    """
    first_low, first_high = _ends(first)
    second_low, second_high = _ends(second)
    if first_low > second_high + 1e-9:
        return 1
    return -1 if first_high < second_low - 1e-9 else 0


def _ends(interval: Interval) -> tuple[float, float]:
    low = interval.value if interval.low is None else interval.low
    return low, interval.value if interval.high is None else interval.high


def _together(found: list[float | None], own: tuple[float, float] | None) -> Interval:
    """Over seeds; a single measurement keeps the interval it came with."""
    values = [value for value in found if value is not None]
    if len(values) < len(found):
        return replace(UNKNOWN, runs=len(found))
    if len(values) == 1 and own is not None:
        return Interval(values[0], *own, runs=1)
    return bootstrap([values], iqm)


def _calibration(found: list[float | None]) -> Interval | None:
    together = _together(found, None)
    return None if math.isnan(together.value) else together


def _method(one: Measured) -> str:
    if one.method == "exact":
        return "exact"
    return f"{one.episodes} episodes" if one.episodes is not None else one.method

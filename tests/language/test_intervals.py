"""Intervals of paired differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from twosome.evaluation.sampled import Z95
from twosome.language.intervals import paired_bootstrap, paired_proportions


def test_no_change_in_few_examples_is_no_proof_of_none() -> None:
    low, high = paired_proportions(0, 0, 100)
    assert low == pytest.approx(-high)
    # With nothing gained or lost the score test has a closed form: z^2 / (n + z^2).
    assert high == pytest.approx(Z95**2 / (100 + Z95**2), abs=1e-9)


def test_gains_and_losses_mirror_each_other() -> None:
    low, high = paired_proportions(9, 2, 44)
    assert paired_proportions(2, 9, 44) == pytest.approx((-high, -low))
    assert 0 < low < 7 / 44 < high  # 9 against 2 is significant at 5 % by the score test: 7^2 / 11 > z^2
    assert paired_proportions(8, 3, 44)[0] < 0  # 5^2 / 11 < z^2


@pytest.mark.parametrize(("gained", "lost", "n"), [(5, 0, 5), (0, 5, 5), (1, 0, 1), (0, 0, 1)])
def test_extreme_tables_stay_inside(gained: int, lost: int, n: int) -> None:
    low, high = paired_proportions(gained, lost, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1


@pytest.mark.parametrize(("up", "down"), [(0.02, 0.02), (0.1, 0.05), (0.3, 0.1)])
def test_the_score_interval_covers_the_truth_about_95_times_in_100(up: float, down: float) -> None:
    n, covered = 40, 0.0
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            ways = math.comb(n, gained) * math.comb(n - gained, lost)
            chance = ways * up**gained * down**lost * (1 - up - down) ** (n - gained - lost)
            low, high = paired_proportions(gained, lost, n) if chance > 1e-9 else (-1.0, 1.0)
            covered += chance * (low <= up - down <= high)
    assert 0.93 < covered < 0.995


def test_impossible_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="3 \\+ 3 of 5"):
        paired_proportions(3, 3, 5)


def test_the_bootstrap_of_a_mean_agrees_with_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(0.5, 2.0, size=(400, 1))
    interval = paired_bootstrap(values, lambda totals: totals[:, 0] / 400)
    assert interval is not None
    half = Z95 * values.std() / math.sqrt(400)
    assert interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)
    assert interval == paired_bootstrap(values, lambda totals: totals[:, 0] / 400)  # seeded


def test_what_units_differ_in_cancels_out() -> None:
    levels = np.random.default_rng(2).normal(0, 100, size=50)
    units = np.stack([levels, levels + 1], axis=1)
    assert paired_bootstrap(units, lambda totals: (totals[:, 1] - totals[:, 0]) / 50) == pytest.approx((1.0, 1.0))


def test_one_unit_has_no_interval() -> None:
    assert paired_bootstrap(np.ones((1, 2)), lambda totals: totals[:, 0]) is None

"""Statistics of few runs: worked out by hand, and against numbers of the library rliable."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twosome.report.statistics import (
    Interval,
    bootstrap,
    decisions_to_threshold,
    iqm,
    median,
    performance_profile,
    probability_of_improvement,
)

# Five runs on four tasks, [run][task], and what rliable 1.2.0 makes of them: 20,000 resamples, 5,000 for the pairs.
A = [
    [0.809, 0.727, 0.658, 0.784],
    [0.927, 0.627, 0.938, 0.879],
    [0.561, 0.755, 0.942, 0.506],
    [0.564, 0.735, 0.787, 0.697],
    [0.914, 0.579, 0.858, 0.886],
]
B = [
    [0.809, 0.426, 0.516, 0.600],
    [0.405, 0.848, 0.667, 0.652],
    [0.571, 0.691, 0.235, 0.574],
    [0.862, 0.762, 0.528, 0.686],
    [0.557, 0.534, 0.668, 0.437],
]
RLIABLE_IQM = {"a": (0.7689, 0.6875, 0.8327), "b": (0.6037, 0.5317, 0.6694)}
RLIABLE_IMPROVEMENT = (0.745, 0.57, 0.89)
RLIABLE_PROFILE = {0.3: (1.0, 1.0, 1.0), 0.5: (1.0, 1.0, 1.0), 0.7: (0.65, 0.45, 0.85), 0.9: (0.2, 0.05, 0.35)}

scores = st.lists(st.floats(-10, 10), min_size=1, max_size=6)


def strata(matrix: list[list[float]]) -> list[list[float]]:
    return [list(task) for task in zip(*matrix, strict=True)]


def triple(interval: Interval) -> tuple[float, float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.value, interval.low, interval.high


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    assert iqm([np.array([8.0, 1.0, 100.0, 3.0, 4.0, -50.0, 5.0, 7.0])]) == pytest.approx((3 + 4 + 5 + 7) / 4)
    assert iqm([np.array([1.0, 2.0, 9.0])]) == 4.0  # a quarter of three, rounded down, is none
    assert iqm([np.array([1.0, 2.0]), np.array([3.0, 100.0])]) == 2.5  # over tasks together


def test_median_of_an_even_number_is_the_upper_of_the_middle_two() -> None:
    assert median([np.array([3.0, 1.0, 2.0])]) == 2.0
    assert median([np.array([1.0, math.inf])]) == math.inf


@pytest.mark.parametrize(("matrix", "name"), [(A, "a"), (B, "b")])
def test_iqm_and_interval_agree_with_rliable(matrix: list[list[float]], name: str) -> None:
    found = bootstrap(strata(matrix), iqm, repetitions=20_000)
    assert found.value == pytest.approx(RLIABLE_IQM[name][0], abs=1e-12)
    assert triple(found) == pytest.approx(RLIABLE_IQM[name], abs=0.004)  # two bootstraps
    assert found.runs == 20


def test_probability_of_improvement_agrees_with_rliable() -> None:
    found = probability_of_improvement(strata(A), strata(B))
    assert found.value == pytest.approx(RLIABLE_IMPROVEMENT[0], abs=1e-12)
    assert triple(found) == pytest.approx(RLIABLE_IMPROVEMENT, abs=0.02)
    assert found.runs == 40


def test_probability_of_improvement_by_hand() -> None:
    # Task 1: (2>1, 2>0), (1=1, 1>0) = 3.5 of 4; task 2: 0 of 1.
    assert probability_of_improvement([[2.0, 1.0], [0.0]], [[1.0, 0.0], [5.0]]).value == pytest.approx(3.5 / 4 / 2)
    assert probability_of_improvement([[1.0]], [[1.0]]).value == 0.5
    with pytest.raises(ValueError, match="same tasks"):
        probability_of_improvement([[1.0]], [])


def test_performance_profile_agrees_with_rliable() -> None:
    found = performance_profile(strata(A), list(RLIABLE_PROFILE))
    for interval, expected in zip(found, RLIABLE_PROFILE.values(), strict=True):
        assert interval.value == pytest.approx(expected[0], abs=1e-12)
        assert triple(interval) == pytest.approx(expected, abs=0.051)  # scores are multiples of 1/20


def test_performance_profile_counts_what_is_above_not_at() -> None:
    found = performance_profile([[0.0, 0.5, 1.0, 1.0]], [0.5, 0.99, 1.0])
    assert [interval.value for interval in found] == [0.5, 0.5, 0.0]


def test_resamples_stay_within_their_task() -> None:
    # Were runs drawn across tasks, the mean would vary.
    found = bootstrap([[0.0, 0.0], [1.0, 1.0]], lambda parts: np.concatenate(parts, axis=-1).mean(-1))
    assert triple(found) == (0.5, 0.5, 0.5)


def test_one_run_has_no_interval() -> None:
    assert bootstrap([[0.7]], iqm) == Interval(0.7, None, None, 1)
    assert not bootstrap([[0.7], [0.1]], iqm).known


def test_the_interval_of_two_runs_is_the_runs() -> None:
    assert triple(bootstrap([[1.0, 3.0]], iqm)) == (2.0, 1.0, 3.0)


def test_a_run_that_never_sufficed_makes_the_upper_end_infinite_and_nothing_undefined() -> None:
    value, low, high = triple(bootstrap([[100.0, 200.0, math.inf]], median))
    assert (value, low, high) == (200.0, 100.0, math.inf)
    assert triple(bootstrap([[math.inf, math.inf]], median)) == (math.inf, math.inf, math.inf)


def test_decisions_to_threshold() -> None:
    assert decisions_to_threshold([10, 20, 30], [None, 0.5, 0.9], 0.5) == 20
    assert decisions_to_threshold([10, 20], [0.1, 0.2], 0.5) == math.inf


def test_no_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        bootstrap([[1.0], []], iqm)


def test_the_same_runs_give_the_same_interval() -> None:
    assert bootstrap(strata(A), iqm) == bootstrap(strata(A), iqm)
    assert bootstrap(strata(A), iqm, seed=1) != bootstrap(strata(A), iqm, seed=2)


@given(st.lists(scores, min_size=1, max_size=4))
def test_intervals_lie_between_the_extremes_and_do_not_depend_on_units(given_scores: list[list[float]]) -> None:
    found = bootstrap(given_scores, iqm, repetitions=50)
    everything = [score for stratum in given_scores for score in stratum]
    assert min(everything) - 1e-9 <= found.value <= max(everything) + 1e-9
    doubled = bootstrap([[2 * score for score in stratum] for stratum in given_scores], iqm, repetitions=50)
    assert doubled.value == pytest.approx(2 * found.value, abs=1e-9)
    if found.low is not None:
        assert found.high is not None
        assert min(everything) - 1e-9 <= found.low <= found.high <= max(everything) + 1e-9
        assert doubled.low == pytest.approx(2 * found.low, abs=1e-9)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Ten normal runs a task on four tasks: 95 % intervals of the mean cover it in nine of ten cases or more."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        runs = generator.normal(size=(4, 10))
        _, low, high = triple(bootstrap(runs.tolist(), iqm, repetitions=300))
        covered += low <= 0.0 <= high
    assert 0.88 <= covered / 200 <= 1.0

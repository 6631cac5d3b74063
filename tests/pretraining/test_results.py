"""Intervals, and results that are written and read back."""

from __future__ import annotations

import pytest
from pretraining.results import Sample, Spread, find
from pretraining.zero_shot import Worth

from pretraining import results


def test_the_interval_is_students():
    spread = Spread.of([1.0, 2.0, 3.0, 4.0])  # sd 1.29099, t 3.182 with 3 degrees of freedom
    assert spread.mean == 2.5
    assert spread.high == pytest.approx(2.5 + 3.182 * 1.290994 / 2, abs=1e-4)
    assert spread.low == pytest.approx(5 - spread.high)
    assert spread.count == 4
    assert Spread.of([7.0]).low is None


def test_intervals_are_apart_only_if_they_do_not_touch():
    high, low, wide = Spread.of([1.0, 1.01, 1.02]), Spread.of([0.0, 0.01]), Spread.of([0.0, 1.0])
    assert high.above(low)
    assert not low.above(high)
    assert not high.above(wide)
    assert high.above(Spread.of([0.5]))
    assert not Spread.of([0.5]).above(high)


def test_samples_come_back_as_they_were(tmp_path):
    row = results.sample("task", "condition", "sum", [("a", Worth(0.5, 0.1234567, 1.0)), ("b", Worth(1, 0, 0))])
    assert row.mean_return == (0.12346, 0)
    results.store("some", {"weights": "abc", "rows": results.from_rows([row])}, tmp_path)
    found = results.load("some", tmp_path)
    assert found["weights"] == "abc"
    assert results.to_rows(found["rows"]) == [row]
    assert find([row], "task", "condition", "word") is None
    assert results.load("other", tmp_path) == {}


def test_a_sample_knows_the_spread_of_each_value():
    row = Sample("task", "condition", None, ("a",), (0.5,), (0.25,), (1.0,))
    assert row.spread("mean_return").mean == 0.25
    assert row.spread("accuracy").mean == 1.0

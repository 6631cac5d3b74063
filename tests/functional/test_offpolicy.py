"""Estimates from recorded probabilities: by hand, at their limits, and how often their intervals hold."""

from __future__ import annotations

import pytest
import torch

from twosome.functional.offpolicy import (
    effective_sample_size,
    recorded_value,
    self_normalised,
    self_normalised_gain,
)


def test_the_effective_sample_size() -> None:
    assert effective_sample_size(torch.ones(7)) == pytest.approx(7)
    assert effective_sample_size(torch.full((7,), 0.3)) == pytest.approx(7)
    assert effective_sample_size(torch.tensor([1.0, 0, 0, 0])) == 1
    assert effective_sample_size(torch.tensor([3.0, 1.0])) == pytest.approx(16 / 10)
    assert effective_sample_size(torch.zeros(3)) == 0


def test_weights_of_one_give_the_mean_and_its_usual_interval() -> None:
    rewards = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])
    found = self_normalised(torch.ones(5), rewards)
    error = float(rewards.double().std()) / 5**0.5
    assert found.value == pytest.approx(0.6)
    assert found.high - found.value == pytest.approx(1.96 * error, rel=1e-3)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_by_hand_and_shifted() -> None:
    weights, rewards = torch.tensor([2.0, 0.5, 0.5]), torch.tensor([1.0, 0.0, 4.0])
    assert self_normalised(weights, rewards).value == pytest.approx(4 / 3)
    # In another unit and from another zero it says the same, and scaled weights change nothing.
    moved = self_normalised(7 * weights, 10 * rewards - 3)
    assert moved.value == pytest.approx(10 * 4 / 3 - 3)
    assert moved.high - moved.value == pytest.approx(10 * (self_normalised(weights, rewards).high - 4 / 3))


def test_no_gain_over_itself_is_certain() -> None:
    weights, rewards = torch.tensor([2.0, 0.5, 0.5]), torch.tensor([1.0, 0.0, 4.0])
    found = self_normalised_gain(weights, weights, rewards)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_intervals_hold_as_often_as_they_say() -> None:
    """Another policy's mean reward from a uniform one's decisions, 500 times: about 475 intervals hold it."""
    generator = torch.Generator().manual_seed(3)
    policy, means = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([1.0, 0.0, -1.0])
    covered, gained = 0, 0
    for _ in range(500):
        actions = torch.randint(3, (200,), generator=generator)
        rewards = means[actions] + torch.randn(200, generator=generator)
        found = self_normalised(policy[actions] * 3, rewards)
        covered += found.low <= 0.6 <= found.high
        gain = self_normalised_gain(policy[actions] * 3, torch.ones(200), rewards)
        gained += gain.low <= 0.6 <= gain.high
    assert 0.92 <= covered / 500 <= 0.98
    assert 0.92 <= gained / 500 <= 0.98


def test_the_recorded_value_is_exact_over_the_actions() -> None:
    recorded = torch.tensor([[0.25, 0.75, 0.0], [0.5, 0.25, 0.25]]).log()
    worth = torch.tensor([[1.0, 2.0, torch.nan], [0.0, 4.0, 8.0]])
    assert recorded_value(recorded, worth).tolist() == [1.75, 3.0]

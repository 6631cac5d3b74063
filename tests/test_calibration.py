"""Calibration and temperature by numbers that were worked out by hand, and in a world where everything is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from twosome.baselines import UniformPolicy
from twosome.calibrating.fitting import Tempered, fitted
from twosome.calibration import (
    COLDEST,
    Bin,
    calibration_error,
    fit_temperature,
    log_loss,
    reliability,
)
from twosome.decision import Decision
from twosome.envs.exploring import explore
from twosome.envs.oracle import evaluate as worth
from twosome.envs.oracle import uniform
from twosome.envs.visiting import visits
from twosome.errors import ConfigError
from twosome.evaluation.exact import evaluate_exactly, look
from twosome.text.states import text_world
from twosome.text.tasks import open_task


def test_calibration_error_worked_by_hand() -> None:
    """Three quarters of the decisions say .8 and are right in a half of the cases; a quarter says .3 and always is."""
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.3, 0.7]])
    optimal = np.array([[True, False], [False, True], [True, False]])
    taken = np.array([[3.0, 0.0], [3.0, 0.0], [2.0, 0.0]])
    rows = reliability(taken, probabilities, optimal, bins=10)
    assert [(row.low, row.high, row.share) for row in rows] == [(0.2, 0.3, 0.25), (0.7, 0.8, 0.75)]
    assert [row.confidence for row in rows] == pytest.approx([0.3, 0.8])
    assert [row.optimal for row in rows] == [1.0, 0.5]
    assert calibration_error(rows) == pytest.approx(0.25 * 0.7 + 0.75 * 0.3)


def test_a_coin_that_says_a_half_and_is_right_in_a_half_is_calibrated() -> None:
    half, optimal = np.full((2, 2), 0.5), np.array([[True, False], [False, True]])
    assert calibration_error(reliability(half, half, optimal)) == pytest.approx(0.0)
    sure = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert calibration_error(reliability(sure, sure, optimal)) == pytest.approx(0.5)


def test_probabilities_on_an_edge_belong_to_the_bin_below() -> None:
    probabilities = np.array([[0.0, 0.2, 0.8]])
    rows = reliability(np.ones((1, 3)), probabilities, np.zeros((1, 3), dtype=bool), bins=5)
    assert [(row.low, row.high) for row in rows] == [(0.0, 0.2), (pytest.approx(0.6), 0.8)]
    assert rows[0] == Bin(0.0, 0.2, pytest.approx(2 / 3), pytest.approx(0.1), 0.0)


def test_log_loss_worked_by_hand() -> None:
    """.8 and .2 at temperature 2 are in the ratio of their roots, 2 : 1."""
    log_probs = np.log([[0.8, 0.2], [0.2, 0.8]])
    first = np.array([[True, False], [True, False]])
    only = np.array([1.0, 0.0])
    assert log_loss(only, log_probs, first, 1.0) == pytest.approx(-math.log(0.8))
    assert log_loss(only, log_probs, first, 2.0) == pytest.approx(-math.log(2 / 3))
    three_to_one = np.array([3.0, 1.0])
    assert log_loss(three_to_one, log_probs, first, 1.0) == pytest.approx(-0.75 * math.log(0.8) - 0.25 * math.log(0.2))


def test_either_of_two_optimal_actions_will_do() -> None:
    log_probs = np.log([[0.5, 0.3, 0.2]])
    assert log_loss(np.ones(1), log_probs, np.array([[True, True, False]]), 1.0) == pytest.approx(-math.log(0.8))
    assert log_loss(np.ones(1), log_probs, np.array([[True, True, True]]), 3.0) == pytest.approx(0.0)


def test_what_is_not_admissible_has_no_part_in_it() -> None:
    log_probs = np.array([[math.log(0.5), math.log(0.5), -math.inf]])
    assert log_loss(np.ones(1), log_probs, np.array([[True, False, False]]), 0.5) == pytest.approx(math.log(2))


def test_the_fitted_temperature_worked_by_hand() -> None:
    """Said with 1:9, right in 3 cases of 4: best is to say 1:3, which 9**(1/2) = 3 makes of it."""
    log_probs, optimal = np.log([[0.9, 0.1], [0.9, 0.1]]), np.array([[True, False], [False, True]])
    assert fit_temperature(np.array([3.0, 1.0]), log_probs, optimal) == pytest.approx(2.0, abs=1e-6)
    assert fit_temperature(np.array([9.0, 1.0]), log_probs, optimal) == pytest.approx(1.0, abs=1e-6)
    assert fit_temperature(np.array([81.0, 1.0]), log_probs, optimal) == pytest.approx(0.5, abs=1e-6)


def test_whoever_is_always_right_cannot_be_cold_enough() -> None:
    assert fit_temperature(np.ones(1), np.log([[0.9, 0.1]]), np.array([[True, False]])) == COLDEST


@pytest.mark.parametrize("task", ["tomato-salad", "entertainment"])
def test_visits_add_up_to_the_decisions_of_an_episode(task: str) -> None:
    with open_task(task) as env:
        shown = text_world(env)
    assert shown is not None
    graph = explore(shown.world)
    for limit in (1, 7, 60):
        often = visits(graph, uniform(graph), limit)
        assert often.sum() == pytest.approx(worth(graph, uniform(graph), 1.0, limit).mean_decisions, abs=1e-9)
        assert often[0] >= 1
    with pytest.raises(ConfigError, match="at least 1"):
        visits(graph, uniform(graph), 0)


class Biased(UniformPolicy):
    """The first phrase ``weight`` times as probable as every other."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        shares = super().action_log_probs(decisions).exp()
        shares[:, 0] *= self.weight
        return (shares / shares.sum(-1, keepdim=True)).log()


def test_bins_of_an_exact_evaluation_agree_with_its_optimal_choices() -> None:
    for policy, greedy in ((UniformPolicy(), False), (Biased(9.0), False), (Biased(9.0), True)):
        result = evaluate_exactly(policy, "food-preparation", gamma=0.95, greedy=greedy)
        assert sum(row.share for row in result.reliability) == pytest.approx(1.0)
        assert sum(row.share * row.optimal for row in result.reliability) == pytest.approx(result.optimal_choices)
        assert result.calibration_error == calibration_error(result.reliability)


def test_a_temperature_fitted_in_a_world_is_where_the_loss_is_least_and_undoes_a_temperature() -> None:
    policy = Biased(9.0)
    found = fitted(policy, "food-preparation", gamma=0.95)
    assert found.loss < found.loss_before
    known = look(policy, "food-preparation")
    often = visits(known.graph, known.table, known.time_limit)
    with np.errstate(divide="ignore"):
        log_probs = np.log(known.table)
    losses = [
        log_loss(often, log_probs, known.optimum(0.95).optimal, found.temperature * factor) for factor in (0.9, 1, 1.1)
    ]
    assert losses[1] == pytest.approx(found.loss)
    assert losses[1] < min(losses[0], losses[2])


def test_tempered_probabilities_are_powers() -> None:
    decision = Decision("Choose", ("a", "b"))
    log_probs = Tempered(Biased(9.0), 2.0).action_log_probs([decision])
    assert torch.allclose(log_probs.exp(), torch.tensor([[0.75, 0.25]]))

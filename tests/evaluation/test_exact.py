"""Exact evaluation against known numbers, against sampling, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from twosome.baselines import UniformPolicy
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.evaluation.exact import evaluate_exactly
from twosome.evaluation.optimum import optimal_play
from twosome.evaluation.sampled import evaluate

TOMATO = ("pick up the tomato", "put the tomato on the cutting board", "chop the tomato", "take the bowl")


class Cook(UniformPolicy):
    """Prefers the first phrase of a list that is offered; ``drift`` is the share of uniform play."""

    def __init__(self, wishes: Sequence[str], drift: float = 0.0) -> None:
        self.wishes, self.drift = wishes, drift

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        uniform = super().action_log_probs(decisions).exp()
        wished = torch.zeros_like(uniform)
        for row, decision in enumerate(decisions):
            wish = next((wish for wish in self.wishes if wish in decision.actions), decision.actions[0])
            wished[row, decision.actions.index(wish)] = 1.0
        return (self.drift * uniform + (1 - self.drift) * wished).log()


@pytest.mark.parametrize(
    ("task", "gamma", "success", "discounted_return", "states", "prompts"),
    [
        ("tomato-salad", 0.99, 0.441959, -0.096408, 24, 21),
        ("tomato-lettuce-salad", 0.99, 0.010191, -0.227974, 1156, 787),
        ("food-preparation", 0.95, 0.019292, 0.003839, 27, 18),
        ("entertainment", 0.95, 0.002796, 0.000395, 166, 123),
    ],
)
def test_uniform_play_has_the_known_value(
    task: str, gamma: float, success: float, discounted_return: float, states: int, prompts: int
) -> None:
    result = evaluate_exactly(UniformPolicy(), task, gamma=gamma)
    assert result.success == pytest.approx(success, abs=1e-6)
    assert result.discounted_return == pytest.approx(discounted_return, abs=1e-6)
    assert (result.states, result.prompts) == (states, prompts)
    best = optimal_play(task, gamma)
    assert best is not None
    assert result.optimal_return == pytest.approx(best.value, abs=1e-12)


@pytest.mark.parametrize("task", ["tomato-salad", "food-preparation"])
def test_sampling_agrees(task: str) -> None:
    exact = evaluate_exactly(UniformPolicy(), task, gamma=0.99)
    sampled = evaluate(UniformPolicy(), task, gamma=0.99, episodes=1000, seed=3, num_envs=20)
    error = math.sqrt(exact.success * (1 - exact.success) / 1000)
    assert sampled.success.mean == pytest.approx(exact.success, abs=4 * error)
    assert sampled.discounted_return.mean == pytest.approx(
        exact.discounted_return, abs=4 * exact.std_return / 1000**0.5
    )
    assert sampled.decisions.mean == pytest.approx(exact.decisions, rel=0.05)


def test_the_best_recipe_reaches_the_optimum() -> None:
    recipe = ("chop the tomato", "serve the dish", "put the tomato in the bowl", "put the tomato on the cutting board")
    result = evaluate_exactly(Cook((*recipe, "pick up the tomato")), "tomato-salad")
    assert result.discounted_return == pytest.approx(result.optimal_return, abs=1e-12)
    assert (result.success, result.std_return, result.decisions, result.duration) == (1.0, 0.0, 6.0, 28.0)
    assert result.optimal_choices == 1.0
    assert result.accuracy < 1.0, "away from the best play the recipe is not always right"


def test_greedy_play_takes_the_most_probable_action() -> None:
    """Picking up and putting down for ever: half drift when sampled, none when greedy."""
    cook = Cook(TOMATO, drift=0.5)
    greedy = evaluate_exactly(cook, "tomato-salad", greedy=True)
    pure = evaluate_exactly(Cook(TOMATO), "tomato-salad")
    assert greedy.discounted_return == pytest.approx(pure.discounted_return, abs=1e-9)
    assert greedy.discounted_return != evaluate_exactly(cook, "tomato-salad").discounted_return
    assert greedy.accuracy == pure.accuracy > evaluate_exactly(UniformPolicy(), "tomato-salad").accuracy


def test_without_discount_the_optimum_minds_the_time_limit() -> None:
    result = evaluate_exactly(UniformPolicy(), "food-preparation", gamma=1.0)
    assert result.optimal_return == 1.0
    assert result.discounted_return == pytest.approx(result.success)


def test_arguments_of_the_environment_count() -> None:
    short = evaluate_exactly(UniformPolicy(), "food-preparation", gamma=0.95, environment={"step_limit": 6})
    assert short.decisions == pytest.approx(6.0, abs=1e-3)
    assert 0 < short.success < 0.001


def test_the_policy_is_asked_once_for_every_decision() -> None:
    asked: list[Decision] = []

    class Curious(UniformPolicy):
        def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
            asked.extend(decisions)
            return super().action_log_probs(decisions)

    progress: list[tuple[int, int]] = []
    evaluate_exactly(Curious(), "tomato-salad", batch_size=10, on_progress=lambda *done: progress.append(done))
    assert len(asked) == len(set(asked)) == 21
    assert progress == [(10, 21), (20, 21), (21, 21)]


def test_a_world_that_shows_no_states_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from twosome.virtualhome import VirtualHomeEnv

    monkeypatch.setattr(VirtualHomeEnv, "time_limit", None)
    with pytest.raises(ConfigError, match="leave out --exact"):
        evaluate_exactly(UniformPolicy(), "food-preparation")


@pytest.mark.parametrize(
    ("task", "gamma", "optimum", "decisions"),
    [
        ("tomato-salad", 0.99, 0.920518, 6),
        ("food-preparation", 0.95, 0.95**5, 6),
        ("entertainment", 0.95, 0.95**10, 11),
    ],
)
def test_the_best_play_of_both_worlds(task: str, gamma: float, optimum: float, decisions: int) -> None:
    best = optimal_play(task, gamma)
    assert best is not None
    assert best.value == pytest.approx(optimum, abs=1e-6)
    assert len(best.actions) == decisions


class Counting(Cook):
    """Counts the decisions it is asked for."""

    def __init__(self, wishes: Sequence[str], drift: float = 0.0) -> None:
        super().__init__(wishes, drift)
        self.asked: list[Decision] = []

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        self.asked += decisions
        return super().action_log_probs(decisions)


RECIPE = (
    *("chop the tomato", "chop the lettuce", "serve the dish", "put the tomato in the bowl"),
    *("put the lettuce in the bowl", "put the tomato on the cutting board", "put the lettuce on the cutting board"),
    *("pick up the tomato", "pick up the lettuce"),
)


@pytest.mark.parametrize("within", [0.1, 1e-3])
@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize(("task", "drift"), [("tomato-lettuce-salad", 0.1), ("food-preparation", 0.9)])
def test_asked_only_where_it_comes_the_value_is_off_by_no_more_than_what_was_missed(
    task: str, drift: float, greedy: bool, within: float
) -> None:
    everywhere = evaluate_exactly(Cook(RECIPE, drift), task, greedy=greedy)
    policy = Counting(RECIPE, drift)
    found = evaluate_exactly(policy, task, greedy=greedy, within=within)
    assert len(policy.asked) == len(set(policy.asked)) == found.asked <= found.prompts == everywhere.prompts
    assert 0 <= found.missed <= within
    assert abs(found.success - everywhere.success) <= found.missed + 1e-12
    assert abs(found.discounted_return - everywhere.discounted_return) <= 2 * found.missed + 1e-12
    assert (found.accuracy is None) == (found.asked < found.prompts)


def test_a_policy_that_keeps_to_one_path_is_asked_on_that_path_alone() -> None:
    recipe = ("chop the tomato", "serve the dish", "put the tomato in the bowl", "put the tomato on the cutting board")
    policy = Counting((*recipe, "pick up the tomato"))
    found = evaluate_exactly(policy, "tomato-salad", within=1e-9)
    assert (found.asked, found.missed, found.success, found.decisions) == (6, 0.0, 1.0, 6.0)
    assert found.discounted_return == pytest.approx(found.optimal_return, abs=1e-12)


@pytest.mark.parametrize("within", [-0.1, 1.0, math.nan])
def test_a_share_of_the_episodes_is_a_share(within: float) -> None:
    with pytest.raises(ConfigError, match="within must be a share of the episodes"):
        evaluate_exactly(UniformPolicy(), "tomato-salad", within=within)

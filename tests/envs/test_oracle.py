"""The oracle, against worlds small enough to work out by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from twosome.envs.exploring import Transition, explore
from twosome.envs.oracle import best_play, evaluate, solve, tabulate, uniform
from twosome.errors import ConfigError


@dataclass
class Fork:
    """From the start, action 0 jumps to the end (reward 1, three steps); action 1 leads to a door (nothing, one step).

    At the door only action 2 is admissible: out (reward 3, one step).
    """

    initial_state: str = "start"
    edges: dict[tuple[str, int], Transition[str]] = field(
        default_factory=lambda: {
            ("start", 0): Transition("end", 1.0, 3, True),
            ("start", 1): Transition("door", 0.0, 1, False),
            ("door", 2): Transition("end", 3.0, 1, True),
        }
    )

    def actions(self, state: str) -> list[int]:
        return [action for origin, action in self.edges if origin == state]

    def transition(self, state: str, action: int) -> Transition[str]:
        return self.edges[state, action]


def test_explore_lists_states_and_admissible_actions() -> None:
    graph = explore(Fork())
    assert graph.states == ("start", "end", "door")
    assert graph.admissible.tolist() == [[True, True, False], [False] * 3, [False, False, True]]
    assert graph.successors[0].tolist() == [1, 2, 0]
    with pytest.raises(ConfigError, match="more than 2 states"):
        explore(Fork(), max_states=2)


def test_solve_discounts_by_duration() -> None:
    """Going through the door is worth 0.5 * 3, jumping 1, whatever its duration, as the reward comes discounted."""
    optimum = solve(explore(Fork()), 0.5)
    assert optimum.values.tolist() == [1.5, 0.0, 3.0]
    assert optimum.action_values[0].tolist() == [1.0, 1.5, -np.inf]
    assert optimum.optimal[0].tolist() == [False, True, False]
    with pytest.raises(ConfigError, match="best_play"):
        solve(explore(Fork()), 1.0)


def test_solve_finds_ties() -> None:
    fork = Fork()
    fork.edges["door", 2] = Transition("end", 2.0, 1, True)
    assert solve(explore(fork), 0.5).optimal[0].tolist() == [True, True, False]


def test_solve_weighs_a_long_action_by_its_duration() -> None:
    fork = Fork()
    fork.edges["start", 1] = Transition("door", 0.0, 4, False)
    assert solve(explore(fork), 0.5).action_values[0, 1] == 3 / 16


def test_best_play_minds_the_time_limit() -> None:
    graph = explore(Fork())
    assert best_play(graph, 1.0, time_limit=2) == (3.0, (1, 2), 2, True)
    assert best_play(graph, 1.0, time_limit=1) == (1.0, (0,), 3, True)
    with pytest.raises(ConfigError, match="at least 1"):
        best_play(graph, 1.0, time_limit=0)


def test_evaluate_uniform_by_hand() -> None:
    graph = explore(Fork())
    result = evaluate(graph, uniform(graph), 0.5, time_limit=10)
    assert result.mean_return == pytest.approx(0.5 * 1 + 0.5 * 1.5)
    assert result.std_return == pytest.approx(0.25)
    assert result.success == 1
    assert result.mean_decisions == pytest.approx(1.5)
    assert result.mean_duration == pytest.approx(2.5)


def test_evaluate_counts_an_action_under_way_when_time_is_up_and_nothing_after_it() -> None:
    graph = explore(Fork())
    result = evaluate(graph, uniform(graph), 0.5, time_limit=1)
    assert result == (0.5, 0.5, 0.5, 1.0, 2.0)


def test_evaluate_a_policy_given_as_a_function() -> None:
    graph = explore(Fork())
    table = tabulate(graph, lambda state: [0.25, 0.75] if state == "start" else [1.0])
    assert table.tolist() == [[0.25, 0.75, 0], [0, 0, 0], [0, 0, 1]]
    assert evaluate(graph, table, 0.5, 10).mean_return == pytest.approx(0.25 + 0.75 * 1.5)


def test_evaluate_loops_until_the_time_limit() -> None:
    fork = Fork()
    fork.edges["start", 3] = Transition("start", -1.0, 2, False)
    graph = explore(fork)
    table = tabulate(graph, lambda state: [0, 0, 1] if state == "start" else [1])
    assert evaluate(graph, table, 1.0, time_limit=7) == pytest.approx((-4, 0, 0, 4, 8))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ones((3, 2)), "shape"),
        (np.array([[0.5, 0.4, 0], [0, 0, 0], [0, 0, 1]]), "add up to 1"),
        (np.array([[0.5, 0, 0.5], [0, 0, 0], [0, 0, 1]]), "admissible"),
        (np.array([[1.5, -0.5, 0], [0, 0, 0], [0, 0, 1]]), "at least 0"),
    ],
)
def test_policies_that_are_none_are_refused(table: np.ndarray, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(explore(Fork()), table, 0.5, 10)


def test_policies_need_one_probability_per_admissible_action() -> None:
    with pytest.raises(ConfigError, match="2 probabilities"):
        tabulate(explore(Fork()), lambda state: [1.0])

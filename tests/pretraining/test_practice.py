"""When practice reaches a share of the optimum."""

from __future__ import annotations

from pretraining.practice import WINDOW, decisions_until


def test_it_is_the_update_after_which_the_last_episodes_are_good_enough_on_average():
    episodes = [{"discounted_return": value} for value in [0.0] * 10 + [0.92] * 40]
    metrics = [{"decisions": 100 * (update + 1), "episodes": 10} for update in range(5)]
    # After 200 decisions the last 20 are half good, after 300 all are.
    assert decisions_until(metrics, episodes, 1.0) == [300, None]
    assert decisions_until(metrics, episodes, 0.95) == [300, 300]


def test_too_few_episodes_never_count():
    episodes = [{"discounted_return": 1.0}] * (WINDOW - 1)
    assert decisions_until([{"decisions": 100, "episodes": WINDOW - 1}], episodes, 1.0) == [None, None]

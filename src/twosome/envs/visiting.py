"""How often a policy comes to every state, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from twosome.envs.exploring import Floats, StateGraph
from twosome.errors import ConfigError


def visits(graph: StateGraph[Any], policy: Floats, time_limit: int) -> Floats:
    """Expected number of decisions that an episode takes in each state: float64 [S].

    Forwards over elapsed time, with ``o(t, s)`` the probability that a decision is taken in ``s`` at ``t`` and ``d``
    the duration of an action,

        o(0, s_0) = 1,    o(t + d(s, a), s'(s, a)) += o(t, s) p(a | s)    unless the episode ends there or time is up,

    and the visits are ``sum_t o(t, s)``; together they are the mean number of decisions of
    :func:`twosome.envs.oracle.evaluate`.

    Args:
        graph: The explored world.
        policy: float64 [S, A], probabilities in every state.
        time_limit: Primitive steps after which an episode is over.

    Raises:
        ConfigError: If the time limit is less than one step.
    """
    if time_limit < 1:
        raise ConfigError(f"the time limit must be at least 1 primitive step, got {time_limit!r}")
    states, slots = len(graph.states), int(graph.durations.max()) + 1
    ahead = np.zeros((slots, states))  # what is to come at time t in slot t % slots
    ahead[0, 0] = 1.0
    total = np.zeros(states)
    goes_on = np.where(graph.terminated | ~graph.admissible, 0.0, policy)
    for time in range(time_limit):
        now = ahead[time % slots].copy()
        ahead[time % slots] = 0.0
        here = np.flatnonzero(now)
        total[here] += now[here]
        flow = now[here, None] * goes_on[here]
        cells = (time + graph.durations[here]) % slots * states + graph.successors[here]
        ahead += np.bincount(cells.ravel(), flow.ravel(), minlength=slots * states).reshape(slots, states)
        if not ahead.any():
            break
    return total

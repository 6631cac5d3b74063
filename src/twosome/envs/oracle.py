"""Exact numbers for small deterministic worlds: the best possible play, and what any policy is worth.

A world that shows its states and transitions is explored once into arrays (:mod:`twosome.envs.exploring`); then

- :func:`solve` gives the optimal value and the optimal actions of every state, ignoring the time limit;
- :func:`best_play` gives the best sequence of actions within the time limit, for any discount, 1 included;
- :func:`evaluate` gives the expected return and the success rate of any policy, with the time limit and without
  sampling error. A policy that sees only observations is a policy on states that gives states that look alike the same
  probabilities.

Decisions may last several primitive steps (a semi-Markov decision process): with reward ``r`` discounted within the
decision, duration ``d``, discount ``g`` per primitive step and next state ``s'``,

    Q(s, a) = r + g**d * V(s')          (V(s') = 0 once the episode is over)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twosome.envs.exploring import Booleans, Floats, S, StateGraph, WorldTooLarge
from twosome.errors import ConfigError

TIE = 1e-9
"""Actions whose values differ by no more than this are equally good."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best that can be done from every state when time does not run out.

    Attributes:
        values: float64 [S], optimal discounted return; 0 after the end.
        action_values: float64 [S, A]; -inf where not admissible.
        optimal: bool [S, A], which actions are optimal.
    """

    values: Floats
    action_values: Floats
    optimal: Booleans


class Play(NamedTuple):
    """A sequence of actions from the initial state and what it yields.

    Attributes:
        value: Discounted return.
        actions: The actions.
        duration: Primitive steps.
        success: Whether it ends in success; None where the world does not say what success is.
    """

    value: float
    actions: tuple[int, ...]
    duration: int
    success: bool | None


class Evaluation(NamedTuple):
    """What a policy is worth from the initial state within the time limit; expectations, without sampling error.

    Attributes:
        mean_return: Discounted return.
        std_return: Standard deviation of the discounted return of one episode.
        success: Probability that the episode ends in success; None where the world does not say what success is.
        mean_decisions: Actions per episode.
        mean_duration: Primitive steps per episode.
    """

    mean_return: float
    std_return: float
    success: float | None
    mean_decisions: float
    mean_duration: float


Policy = Callable[[S], ArrayLike]
"""Maps a state to the probabilities of its admissible actions, in the order of its world's actions."""


MOST_NUMBERS = 2**28
"""Numbers that are remembered at most: 2 GiB."""
MOST_WORK = 10**10
"""States times actions times steps of a time limit that are worked through at most: minutes."""

_ROUNDING = 1e-13
"""Share of a second moment within which sums of a few dozen decisions round."""


def solve(graph: StateGraph[S], discount: float, tolerance: float = 1e-12) -> Optimum:
    """Return optimal values and actions by value iteration, as if there were no time limit.

    Args:
        graph: The explored world.
        discount: Per primitive step, below 1 (with 1 the values need not exist; see :func:`best_play`).
        tolerance: Iteration stops when no value changes by more than this.

    Raises:
        ConfigError: If the discount is not in [0, 1).
    """
    if not 0 <= discount < 1:
        raise ConfigError(f"solve needs a discount from 0 to below 1, got {discount!r}; best_play takes 1 as well")
    weights = np.where(graph.terminated, 0.0, discount**graph.durations)
    over = ~graph.admissible.any(axis=1)
    values = np.zeros(len(graph.states))
    while True:
        action_values = np.where(graph.admissible, graph.rewards + weights * values[graph.successors], -np.inf)
        updated = np.where(over, 0.0, action_values.max(axis=1))
        change = float(np.abs(updated - values).max())
        values = updated
        if change <= tolerance:
            break
    optimal = graph.admissible & (action_values >= values[:, None] - TIE)
    return Optimum(values, action_values, optimal)


def best_play(graph: StateGraph[S], discount: float, time_limit: int) -> Play:
    """Return a best sequence of actions from the initial state when the time limit counts.

    Args:
        graph: The explored world.
        discount: Per primitive step, 1 allowed.
        time_limit: Primitive steps after which an episode is over; an action under way is finished and pays.

    Raises:
        WorldTooLarge: If that takes more memory or work than there is.
    """
    weights = discount**graph.durations
    playing = graph.admissible.any(axis=1)
    choices: list[NDArray[np.int32]] = []  # with the most time left last

    def backup(time: int, later: Floats) -> Floats:
        action_values = np.where(graph.admissible, graph.rewards + weights * later[..., 0], -np.inf)
        _check_size(time_limit - time, len(graph.states), "remember the best action of every state at every time")
        choices.append(action_values.argmax(axis=1).astype(np.int32))
        return np.where(playing, action_values.max(axis=1), 0.0)[:, None]

    value = _backward(graph, time_limit, 1, backup)[0]
    row, time, over, success, actions = 0, 0, False, False, []
    while time < time_limit and not over:
        left = min(time_limit - time, len(choices))  # with still more time left, the choices stay the same
        action = int(choices[left - 1][row])
        actions.append(action)
        over, success = bool(graph.terminated[row, action]), bool(graph.successes[row, action])
        time += int(graph.durations[row, action])
        row = int(graph.successors[row, action])
    return Play(float(value), tuple(actions), time, None if graph.success_by is None else success)


def uniform(graph: StateGraph[S]) -> Floats:
    """Return the policy that takes every admissible action with the same probability: float64 [S, A]."""
    policy: Floats = graph.admissible / np.maximum(graph.admissible.sum(axis=1, keepdims=True), 1)
    return policy


def tabulate(graph: StateGraph[S], policy: Policy[S]) -> Floats:
    """Return a policy's probabilities in every state that is not the end: float64 [S, A].

    Raises:
        ConfigError: If the policy does not give one probability per admissible action.
    """
    table = np.zeros(graph.admissible.shape)
    for row, (state, admissible) in enumerate(zip(graph.states, graph.admissible, strict=True)):
        if not admissible.any():
            continue
        probabilities = np.asarray(policy(state), dtype=np.float64)
        if probabilities.shape != (admissible.sum(),):
            raise ConfigError(
                f"the policy must give {admissible.sum()} probabilities, one per admissible action, "
                f"got shape {probabilities.shape} in state {state!r}"
            )
        table[row, admissible] = probabilities
    return table


def evaluate(graph: StateGraph[S], policy: Floats, discount: float, time_limit: int) -> Evaluation:
    """Return what a policy is worth from the initial state, exactly, by dynamic programming over elapsed time.

    Args:
        graph: The explored world.
        policy: float64 [S, A], probabilities in every state; see :func:`tabulate` and :func:`uniform`.
        discount: Per primitive step.
        time_limit: Primitive steps after which an episode is over; an action under way is finished and pays.

    Raises:
        ConfigError: If the probabilities of a state do not add up to 1, are negative, or fall on inadmissible actions.
    """
    _check_policy(graph, policy)
    weights, rewards = discount**graph.durations, graph.rewards

    def backup(time: int, later: Floats) -> Floats:
        mean, square, success, decisions, duration = np.moveaxis(later, -1, 0)
        now = (
            rewards + weights * mean,
            rewards**2 + 2 * rewards * weights * mean + weights**2 * square,
            graph.successes + success,
            1 + decisions,
            graph.durations + duration,
        )
        return np.stack([(policy * values).sum(axis=1) for values in now], axis=-1)

    mean, square, success, decisions, duration = (float(x) for x in _backward(graph, time_limit, 5, backup))
    variance = square - mean**2
    if variance < _ROUNDING * square:
        variance = 0.0  # no more than rounding leaves, which depends on the machine's power function
    known = None if graph.success_by is None else success
    return Evaluation(mean, variance**0.5, known, decisions, duration)


def _check_policy(graph: StateGraph[S], policy: Floats) -> None:
    playing = graph.admissible.any(axis=1)
    if policy.shape != graph.admissible.shape:
        raise ConfigError(f"the policy must have shape {graph.admissible.shape}, got {policy.shape}")
    wrong = playing & (np.abs(policy.sum(axis=1) - 1) > 1e-6)
    wrong |= ((policy < 0) | ((policy > 0) & ~graph.admissible)).any(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise ConfigError(
            "a policy needs probabilities of at least 0 that add up to 1 over the admissible actions, "
            f"got {policy[row].tolist()} in state {graph.states[row]!r}"
        )


def _backward(graph: StateGraph[S], time_limit: int, count: int, backup: Callable[[int, Floats], Floats]) -> Floats:
    """Work backwards from the time limit to the start.

    Args:
        graph: The explored world.
        time_limit: Primitive steps after which nothing follows.
        count: Quantities carried along, K.
        backup: Takes the elapsed time and what follows each action, [S, A, K], 0 where the episode is over; returns the
            quantities of each state at that time, [S, K].

    Returns:
        The quantities of the initial state at time 0, [K].
    """
    if time_limit < 1:
        raise ConfigError(f"the time limit must be at least 1 primitive step, got {time_limit!r}")
    slots = int(graph.durations.max()) + 1
    _check_size(slots, len(graph.states) * count, "remember every state for as long as the longest action lasts")
    ring = np.zeros((slots, len(graph.states), count))  # quantities at time t in slot t % slots; 0 from the limit on
    goes_on, unchanged = ~graph.terminated[..., None], 0
    for sweep, time in enumerate(reversed(range(time_limit))):
        if sweep * graph.admissible.size > MOST_WORK:
            raise WorldTooLarge(
                f"a time limit of {time_limit:,} steps is too long for {len(graph.states):,} states: after {sweep:,} "
                "steps the numbers still change; give a shorter limit, or leave out --exact to sample episodes"
            )
        later = ring[(time + graph.durations) % slots, graph.successors]
        now = backup(time, later * goes_on)
        # Once nothing has changed for as long as the longest action, nothing will: more time makes no difference.
        unchanged = unchanged + 1 if np.array_equal(now, ring[(time + 1) % slots]) else 0
        ring[time % slots] = now
        if unchanged > slots:
            ring[0] = now
            break
    initial: Floats = ring[0, 0]
    return initial


def _check_size(times: int, size: int, what: str) -> None:
    if times * size > MOST_NUMBERS:
        raise WorldTooLarge(
            f"to {what} takes {times:,} x {size:,} numbers, more than the {MOST_NUMBERS:,} that fit into memory; give "
            "a shorter time limit, or sample episodes"
        )

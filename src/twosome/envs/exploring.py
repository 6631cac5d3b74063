"""Worlds that show their states and transitions, and all of them as arrays: what exact numbers are made from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from twosome.errors import ConfigError

S = TypeVar("S", bound=Hashable)
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


class Transition(NamedTuple, Generic[S]):
    """What an action leads to.

    Attributes:
        state: The state afterwards.
        reward: The action's reward, discounted within the action if it lasts several primitive steps.
        duration: Primitive steps the action takes, at least 1.
        terminated: Whether the episode ends there, in success.
    """

    state: S
    reward: float
    duration: int
    terminated: bool


class World(Protocol[S]):
    """A deterministic world with finitely many states and one start. States are hashable and equal when the same."""

    @property
    def initial_state(self) -> S:
        """The state every episode starts in."""
        ...

    def actions(self, state: S) -> Sequence[int]:
        """Return the admissible actions of a state, as small integers of 0 or more; at least one."""
        ...

    def transition(self, state: S, action: int) -> Transition[S]:
        """Return what an admissible action leads to."""
        ...


@runtime_checkable
class OpenWorld(World[S], Protocol[S]):
    """A world that also shows what its environment would say of any state.

    An environment whose attribute ``world`` is one, and whose attribute ``time_limit`` is the number of primitive steps
    after which an episode is over, can be walked through, solved and evaluated exactly.
    """

    def view(self, state: S) -> tuple[Any, dict[str, Any]]:
        """Return the observation and the info that the environment returns when a ``reset`` leads to this state."""
        ...


@dataclass(frozen=True, eq=False)
class StateGraph(Generic[S]):
    """A world as arrays; rows are states, columns are actions.

    Attributes:
        states: All states that can be reached, the initial one first. [S]
        index: Row of each state.
        admissible: bool [S, A]; no action is admissible after the end of an episode.
        successors: int64 [S, A], row of the next state; 0 where not admissible.
        rewards: float64 [S, A]; 0 where not admissible.
        durations: int64 [S, A], primitive steps; 1 where not admissible.
        terminated: bool [S, A].
    """

    states: tuple[S, ...]
    index: dict[S, int]
    admissible: Booleans
    successors: Integers
    rewards: Floats
    durations: Integers
    terminated: Booleans


def explore(world: World[S], max_states: int = 1_000_000) -> StateGraph[S]:
    """Return all states that can be reached, and the transitions between them.

    Raises:
        ConfigError: If there are more than ``max_states`` states.
    """
    index: dict[S, int] = {world.initial_state: 0}
    ended: set[S] = set()
    rows: list[tuple[int, int, int, float, int, bool]] = []
    states = [world.initial_state]
    for row, state in enumerate(states):  # the list grows while it is walked
        if state in ended:
            continue
        for action in world.actions(state):
            after, reward, duration, terminated = world.transition(state, action)
            if after not in index:
                index[after] = len(states)
                states.append(after)
                if len(states) > max_states:
                    raise ConfigError(
                        f"the world has more than {max_states} states; raise max_states to explore it all"
                    )
            if terminated:
                ended.add(after)
            rows.append((row, action, index[after], reward, duration, terminated))
    return _graph(tuple(states), index, rows)


def _graph(
    states: tuple[S, ...], index: dict[S, int], rows: list[tuple[int, int, int, float, int, bool]]
) -> StateGraph[S]:
    origins, actions, successors, rewards, durations, terminated = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    shape = len(states), int(actions.max()) + 1
    graph = StateGraph(
        states=states,
        index=index,
        admissible=np.zeros(shape, dtype=np.bool_),
        successors=np.zeros(shape, dtype=np.int64),
        rewards=np.zeros(shape, dtype=np.float64),
        durations=np.ones(shape, dtype=np.int64),
        terminated=np.zeros(shape, dtype=np.bool_),
    )
    cells = origins, actions
    graph.admissible[cells] = True
    graph.successors[cells] = successors
    graph.rewards[cells] = rewards
    graph.durations[cells] = durations
    graph.terminated[cells] = terminated
    return graph

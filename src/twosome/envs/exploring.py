"""Worlds that show their states and transitions, and all of them as arrays: what exact numbers are made from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from twosome.errors import ConfigError
from twosome.success import Outcome, Way, paid_for, way

S = TypeVar("S", bound=Hashable)
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

LARGEST_TABLE = 2**26
"""States times actions of a world that is looked at as a whole: 2 GB of arrays."""


class WorldTooLarge(ConfigError):
    """A world with more states and actions than can be looked at."""


class _Outcome(NamedTuple, Generic[S]):
    """The four parts of a transition."""

    state: S
    reward: float
    duration: int
    terminated: bool


class Transition(_Outcome[S]):
    """What an action leads to; unpacks into ``state, reward, duration, terminated``.

    Attributes:
        state: The state afterwards.
        reward: The action's reward, discounted within the action if it lasts several primitive steps.
        duration: Primitive steps the action takes, at least 1.
        terminated: Whether the episode ends there.
        success: Whether it ends in success; None where the world does not tell, which leaves it to the rewards
            (:mod:`twosome.success`).
    """

    success: bool | None = None

    def __new__(
        cls, state: S, reward: float, duration: int, terminated: bool, success: bool | None = None
    ) -> Transition[S]:
        """Put the parts together."""
        made = super().__new__(cls, state, reward, duration, terminated)  # type: ignore[type-var]
        made.success = success
        return made


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
        successes: bool [S, A], where an episode ends in success; all False where nothing says what success is.
        success_by: How the world says what success is, or None where it does not.
    """

    states: tuple[S, ...]
    index: dict[S, int]
    admissible: Booleans
    successors: Integers
    rewards: Floats
    durations: Integers
    terminated: Booleans
    successes: Booleans
    success_by: Way | None


class _Edge(NamedTuple):
    """A transition between rows of a graph."""

    origin: int
    action: int
    successor: int
    reward: float
    duration: int
    terminated: bool
    success: bool | None


def explore(world: World[S], max_states: int = 1_000_000) -> StateGraph[S]:
    """Return all states that can be reached, and the transitions between them.

    Raises:
        WorldTooLarge: If there are more than ``max_states`` states, or action numbers too large for a table.
    """
    index: dict[S, int] = {world.initial_state: 0}
    rows: list[_Edge] = []
    states, playing = [world.initial_state], [world.initial_state]
    met = {world.initial_state}  # while the episode goes on; a state may be the end of one and the middle of another
    for state in playing:  # the list grows while it is walked
        for action in world.actions(state):
            found = world.transition(state, action)
            after, reward, duration, terminated = found
            if after not in index:
                index[after] = len(states)
                states.append(after)
                if len(states) > max_states:
                    raise WorldTooLarge(f"the world has more than {max_states:,} states, too many to look at them all")
            if not terminated and after not in met:
                met.add(after)
                playing.append(after)
            rows.append(_Edge(index[state], action, index[after], reward, duration, terminated, found.success))
    return _graph(tuple(states), index, rows)


def _graph(states: tuple[S, ...], index: dict[S, int], rows: list[_Edge]) -> StateGraph[S]:
    *columns, told = zip(*rows, strict=True)
    origins, actions, successors, rewards, durations, terminated = map(np.array, columns)
    successes, success_by = _successes(rewards, terminated, told)
    shape = len(states), int(actions.max()) + 1
    if shape[0] * shape[1] > LARGEST_TABLE:
        raise WorldTooLarge(
            f"the world has {shape[0]:,} states and action numbers up to {shape[1] - 1:,}, too many for one table"
        )
    graph = StateGraph(
        states=states,
        index=index,
        admissible=np.zeros(shape, dtype=np.bool_),
        successors=np.zeros(shape, dtype=np.int64),
        rewards=np.zeros(shape, dtype=np.float64),
        durations=np.ones(shape, dtype=np.int64),
        terminated=np.zeros(shape, dtype=np.bool_),
        successes=np.zeros(shape, dtype=np.bool_),
        success_by=success_by,
    )
    cells = origins, actions
    graph.admissible[cells] = True
    graph.successors[cells] = successors
    graph.rewards[cells] = rewards
    graph.durations[cells] = durations
    graph.terminated[cells] = terminated
    graph.successes[cells] = successes
    return graph


def _successes(rewards: Floats, terminated: Booleans, told: Sequence[bool | None]) -> tuple[Booleans, Way | None]:
    """Which transitions end an episode in success, and how the world says so; the rule of :mod:`twosome.success`.

    A policy may take any way to an end, so an end has to pay more than any transition of the world that goes on.
    """
    before = float(max(rewards[~terminated], default=0.0))
    ends = [
        Outcome(said, True) if said is not None else Outcome(paid_for(float(reward), before), False)
        for reward, end, said in zip(rewards, terminated, told, strict=True)
        if end
    ]
    # A world may tell without having an end that can be reached.
    success_by: Way | None = "told" if any(said is not None for said in told) else way(ends)
    successes = np.zeros(len(rewards), dtype=np.bool_)
    if success_by is not None:
        successes[terminated] = [end.success is True for end in ends]
    return successes, success_by

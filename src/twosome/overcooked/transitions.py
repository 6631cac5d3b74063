"""A kitchen's transitions with their rewards, worked out when first needed and kept for the whole process.

Rules, rewards and observations are deterministic, so every environment of the same kitchen can share one table: a step
is two look-ups, and the table doubles as the world that :mod:`twosome.envs.oracle` searches.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from twosome.envs.exploring import Transition
from twosome.overcooked.kitchen import Event, Kitchen, State
from twosome.overcooked.macros import play
from twosome.overcooked.observation import Observation, observe
from twosome.overcooked.tasks import find_task


class Rewards(NamedTuple):
    """What a tick pays; the defaults are the paper's.

    Attributes:
        chop: On the last chop of a food that the dish needs; again each time the food is reset and chopped again.
        delivery: On serving the dish.
        wrong_delivery: On serving anything else.
        tick: Always.
    """

    chop: float = 0.2
    delivery: float = 1.0
    wrong_delivery: float = -0.1
    tick: float = -0.001


class Edge(NamedTuple):
    """A macro-action from one node to another; its reward is already discounted over its ticks."""

    node: Node
    reward: float
    ticks: int
    terminated: bool


class Node:
    """A state with its observation and the edges walked so far, by action index."""

    __slots__ = ("edges", "observation", "state")

    def __init__(self, state: State, observation: Observation) -> None:
        self.state = state
        self.observation = observation
        self.edges: dict[int, Edge] = {}


class TransitionTable:
    """All states and transitions met so far in one kitchen; an :class:`~twosome.envs.exploring.OpenWorld`.

    Args:
        kitchen: The rules.
        rewards: What a tick pays.
        tick_discount: Discount per tick, applied within a macro-action: a reward in its k-th tick counts
            ``tick_discount ** (k - 1)``.
    """

    def __init__(self, kitchen: Kitchen, rewards: Rewards, tick_discount: float) -> None:
        self.kitchen = kitchen
        self.rewards = rewards
        self.tick_discount = tick_discount
        self._nodes: dict[State, Node] = {}
        self._actions = range(len(kitchen.macros))
        self._bonus = {
            Event.NOTHING: 0.0,
            Event.CHOPPED: rewards.chop,
            Event.SERVED: rewards.delivery,
            Event.WASTED: rewards.wrong_delivery,
        }

    @property
    def initial_state(self) -> State:
        """The one state every episode starts in."""
        return self.kitchen.initial_state

    def actions(self, state: State) -> range:
        """Return the admissible action indices: all of them, in every state."""
        return self._actions

    def transition(self, state: State, action: int) -> Transition[State]:
        """Return what an action leads to."""
        edge = self.edge(self.node(state), action)
        return Transition(edge.node.state, edge.reward, edge.ticks, edge.terminated, edge.terminated)

    def view(self, state: State) -> tuple[Observation, dict[str, Any]]:
        """Return the observation of a state, and the empty info of a reset."""
        return self.node(state).observation.copy(), {}

    def node(self, state: State) -> Node:
        """Return the node of a state."""
        node = self._nodes.get(state)
        if node is None:
            observation = observe(self.kitchen, state)
            observation.flags.writeable = False
            node = self._nodes[state] = Node(state, observation)
        return node

    def edge(self, node: Node, action: int) -> Edge:
        """Return the edge of an action, worked out on first use.

        Raises:
            KeyError: If there is no such action.
        """
        edge = node.edges.get(action)
        if edge is None:
            if action not in self._actions:
                raise KeyError(action)
            state, moves, event = play(self.kitchen, node.state, self.kitchen.macros[action])
            reward = self._reward(len(moves), event)
            edge = Edge(self.node(state), reward, len(moves), event is Event.SERVED)
            node.edges[int(action)] = edge
        return edge

    def _reward(self, ticks: int, event: Event) -> float:
        """Return the discounted reward of a macro-action whose only event, if any, is in its last tick."""
        total, weight = 0.0, 1.0
        for _ in range(ticks - 1):
            total += weight * self.rewards.tick
            weight *= self.tick_discount
        return total + weight * (self.rewards.tick + self._bonus[event])


@lru_cache(maxsize=32)
def shared_table(
    task: str, layout: str, foods: tuple[str, ...], view_radius: int, rewards: Rewards, tick_discount: float
) -> TransitionTable:
    """Return this process's table for a kitchen; one per kitchen and reward scheme."""
    return TransitionTable(Kitchen(find_task(task), layout, foods, view_radius), rewards, tick_discount)

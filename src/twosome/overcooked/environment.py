"""The macro-action Overcooked kitchen as a Gymnasium environment."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from twosome.errors import ConfigError, InadmissibleAction
from twosome.overcooked.kitchen import State
from twosome.overcooked.macros import play
from twosome.overcooked.observation import Observation, bounds
from twosome.overcooked.tasks import find_foods, find_layout, find_task, macro_name
from twosome.overcooked.transitions import Edge, Node, Rewards, TransitionTable, shared_table

RENDER_MODES = ("ansi", "rgb_array")


class Status(NamedTuple):
    """What a picture tells besides the state.

    Attributes:
        action: Name of the last macro-action; empty at the start.
        ticks: Ticks since the reset.
        time_limit: Ticks an episode may take.
        score: Return so far, discounted per tick.
    """

    action: str
    ticks: int
    time_limit: int
    score: float


class OvercookedEnv(gymnasium.Env[Observation, int]):
    """One cook, one kitchen, one salad; an action is a whole errand (a macro-action) of one or more ticks.

    Deterministic. The observation is described in :mod:`twosome.overcooked.observation`, the actions in
    :func:`twosome.overcooked.tasks.macro_actions`; all of them are always admissible. A step's reward is the sum
    of the errand's tick rewards, each discounted from the errand's first tick; ``info["duration"]`` is its number of
    ticks. An episode is ``terminated`` when the dish is served and ``truncated`` by the time limit; an errand that is
    under way when time is up is finished first, so an episode can last a few ticks longer.

    Args:
        task: One of :data:`~twosome.overcooked.tasks.TASKS`.
        layout: "A" is an open kitchen; "B" and "C" have a counter down the middle. In B a single cook cannot reach
            any food, so no task can be finished there.
        foods: ``("tomato",)`` or ``("tomato", "lettuce", "onion")``; None takes what is natural for the task: the
            tomato alone for the tomato salad, else all three.
        view_radius: How far the cook sees, in cells; 0 means everywhere.
        chop_reward: On finishing to chop a food that the dish needs.
        delivery_reward: On serving the dish.
        wrong_delivery_reward: On serving anything else.
        tick_reward: On every tick.
        tick_discount: Discount per tick within a macro-action.
        time_limit: Ticks after which an episode is truncated.
        render_mode: None, "ansi" or "rgb_array".

    Raises:
        ConfigError: If an argument is unknown, out of range, or contradicts another.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 2}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(
        self,
        task: str = "tomato-salad",
        layout: str = "A",
        foods: Iterable[str] | None = None,
        view_radius: int = 2,
        chop_reward: float = 0.2,
        delivery_reward: float = 1.0,
        wrong_delivery_reward: float = -0.1,
        tick_reward: float = -0.001,
        tick_discount: float = 0.99,
        time_limit: int = 200,
        render_mode: str | None = None,
    ) -> None:
        find_layout(layout)
        kitchen_foods = find_foods(find_task(task), foods)
        rewards = Rewards(chop_reward, delivery_reward, wrong_delivery_reward, tick_reward)
        _check_numbers(view_radius, rewards, tick_discount, time_limit)
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ConfigError(
                f"unknown render_mode {render_mode!r}; choose None, {' or '.join(map(repr, RENDER_MODES))}"
            )
        self.render_mode = render_mode
        self.time_limit = time_limit
        self.table = shared_table(task, layout, kitchen_foods, int(view_radius), rewards, float(tick_discount))
        self.kitchen = self.table.kitchen
        low, high = bounds(len(kitchen_foods), len(self.kitchen.plan.boards))
        self.observation_space = spaces.Box(low, high, dtype=np.int64)
        self.action_space = spaces.Discrete(len(self.kitchen.macros))  # type: ignore[assignment]
        self._node = self.table.node(self.table.initial_state)
        self._ticks = 0
        self._running = False
        self._trail: list[tuple[Node, int]] = []

    @property
    def world(self) -> TransitionTable:
        """All states and transitions of this kitchen, for :mod:`twosome.envs.oracle`."""
        return self.table

    @property
    def state(self) -> State:
        """The true state of the kitchen, of which the observation shows a part."""
        return self._node.state

    @property
    def ticks(self) -> int:
        """Ticks since the last reset."""
        return self._ticks

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; nothing is random, so the seed changes nothing."""
        super().reset(seed=seed)
        self._node = self.table.node(self.table.initial_state)
        self._ticks = 0
        self._running = True
        self._trail = []
        return self._node.observation.copy(), {}

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Run a macro-action to its end.

        Args:
            action: Index of the macro-action.

        Returns:
            Observation, reward discounted over the ticks, terminated, truncated, and info: ``duration`` in ticks, and
            ``success``, whether the dish was served.

        Raises:
            InadmissibleAction: If there is no such macro-action.
            gymnasium.error.ResetNeeded: Before the first reset and after the end of an episode.
        """
        edge = self._node.edges.get(action)
        if edge is None or not self._running:
            edge = self._look_up(action)
        self._trail.append((self._node, action))
        self._node, reward, duration, terminated = edge
        self._ticks = ticks = self._ticks + duration
        truncated = ticks >= self.time_limit and not terminated
        if terminated or truncated:
            self._running = False
        info = {"duration": duration, "success": terminated}
        return self._node.observation.copy(), reward, terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | str | None:
        """Return the kitchen as it is now: text with terminal colours for "ansi", uint8 [H, W, 3] for "rgb_array"."""
        if self.render_mode is None:
            gymnasium.logger.warn('render() shows nothing unless the environment is made with render_mode="rgb_array"')
            return None
        return self._show(self.state, self._status())

    def render_ticks(self) -> list[NDArray[np.uint8] | str]:
        """Return one picture per tick of the last macro-action, the last one as :meth:`render` shows it.

        Before the first macro-action it is the one picture of the start.
        """
        status = self._status()
        last = self._show(self.state, status)
        if not self._trail:
            return [last]
        node, action = self._trail[-1]
        before, state, pictures = self._status(steps=len(self._trail) - 1), node.state, []
        for move in play(self.kitchen, state, self.kitchen.macros[action]).moves[:-1]:
            state, _ = self.kitchen.tick(state, move)
            before = before._replace(action=status.action, ticks=before.ticks + 1)
            pictures.append(self._show(state, before))
        return [*pictures, last]

    def _show(self, state: State, status: Status) -> NDArray[np.uint8] | str:
        from twosome.overcooked import drawing  # imported late: training needs no pictures

        return (drawing.sketch if self.render_mode == "ansi" else drawing.draw)(self.kitchen, state, status)

    def _status(self, steps: int | None = None) -> Status:
        """Return what to tell after so many macro-actions; None for all of them."""
        score, ticks, label = 0.0, 0, ""
        for node, action in self._trail[:steps]:
            edge = node.edges[action]
            score += self.table.tick_discount**ticks * edge.reward
            ticks += edge.ticks
            label = macro_name(self.kitchen.macros[action], self.kitchen.foods)
        return Status(label, ticks, self.time_limit, score)

    def _look_up(self, action: int) -> Edge:
        if not self._running:
            raise gymnasium.error.ResetNeeded("the episode is over or has not begun; call reset() before step()")
        try:
            return self.table.edge(self._node, action)
        except KeyError:
            most = len(self.kitchen.macros) - 1
            raise InadmissibleAction(
                f"an action of this kitchen is an integer from 0 to {most}, got {action!r}"
            ) from None


def _check_numbers(view_radius: int, rewards: Rewards, tick_discount: float, time_limit: int) -> None:
    if view_radius != int(view_radius) or view_radius < 0:
        raise ConfigError(f"view_radius is a number of cells, 0 for everywhere or more, got {view_radius!r}")
    for name, value in rewards._asdict().items():
        if not math.isfinite(value):
            raise ConfigError(f"{name}_reward must be a finite number, got {value!r}")
    if not 0 <= tick_discount <= 1:
        raise ConfigError(f"tick_discount must be between 0 and 1, got {tick_discount!r}")
    if time_limit < 1:
        raise ConfigError(f"time_limit is a number of ticks, 1 or more, got {time_limit!r}")

"""The household as a Gymnasium environment: bits in, action ids out, one reward at the end."""

from __future__ import annotations

import operator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from twosome.errors import ConfigError, InadmissibleAction
from twosome.virtualhome.graph import Graph, from_graph, load_scene, place_things, script_lines, to_graph
from twosome.virtualhome.household import Household
from twosome.virtualhome.tasks import STEP_LIMIT, Task
from twosome.virtualhome.world import Situation, shared_world


class VirtualHomeEnv(gymnasium.Env[NDArray[np.int8], int]):
    """A flat with four rooms in which one chore is to be done; deterministic, partially observed, sparsely rewarded.

    Observation: int8 [facts] of 0 and 1, one bit per fact of the task (:attr:`Task.facts`). Action: an id into
    :attr:`Task.actions`. Reward: 1 on success, else 0. ``terminated`` means success, ``truncated`` that the step limit
    was reached without it. An action that fails changes nothing but the step count.

    After ``reset`` and ``step``, ``info`` holds:

    * ``action_mask``: int8 [actions], 1 where an action is admissible; fits ``action_space.sample(mask=...)``.

    After ``step`` also:

    * ``script``: the action as a line of a VirtualHome script, ``[putin] <pancake> (40) <microwave> (14)``;
    * ``executed``: whether the action did what it says;
    * ``duration``: 1, the primitive steps it took;
    * ``success``: whether the task is done.

    Args:
        task: A name in :data:`twosome.virtualhome.tasks.TASKS`.
        faithful: True repeats the environment published with the paper, defects and all: any action may be tried,
            the mask is advice. False, the default, repairs them: an action outside the mask changes nothing.
        all_actions: True offers every action everywhere, as to the paper's agent without a mask. What cannot be done
            changes nothing but the step count; what can be done is, even where it is not offered otherwise (walking
            to where the agent already is makes it turn away from what it was near).
        step_limit: Steps after which an episode is cut.
        render_mode: None, ``"ansi"`` (text) or ``"rgb_array"`` (uint8 picture).

    Raises:
        ConfigError: If the task, the step limit or the render mode is unknown.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 2}  # noqa: RUF012

    def __init__(
        self,
        task: str = "food-preparation",
        faithful: bool = False,
        all_actions: bool = False,
        step_limit: int = STEP_LIMIT,
        render_mode: str | None = None,
    ) -> None:
        if step_limit < 1:
            raise ConfigError(f"the step limit must be at least 1, got {step_limit}")
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ConfigError(f"the render mode must be None, 'ansi' or 'rgb_array', got {render_mode!r}")
        self.world = shared_world(task, bool(faithful), bool(all_actions))
        self.render_mode = render_mode
        self.observation_space = spaces.MultiBinary(len(self.task.facts))
        self.action_space = spaces.Discrete(len(self.task.actions))  # type: ignore[assignment]
        self._action_count = len(self.task.actions)
        self._step_limit = step_limit
        self._home = place_things(self.task, load_scene())
        self._home_scripts = script_lines(self.task, self._home)
        self._scene, self._scripts = self._home, self._home_scripts
        self._situation: Situation | None = None
        self._latest: Situation | None = None
        self._steps = 0

    @property
    def task(self) -> Task:
        """What is to be done here."""
        return self.world.task

    @property
    def time_limit(self) -> int:
        """Steps after which an episode is cut."""
        return self._step_limit

    @property
    def situation(self) -> Situation:
        """Where the episode stands: state, observation, admissible actions.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset and after an episode's last step.
        """
        if self._situation is None:
            raise gymnasium.error.ResetNeeded("no episode is going on; call reset() first")
        return self._situation

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.int8], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Accepted as Gymnasium wants it; nothing in the flat is random.
            options: ``{"graph": graph}`` starts from a VirtualHome graph and takes its node ids over into the scripts.

        Raises:
            ConfigError: If the graph lacks a thing of the task, or the task is already done in it.
        """
        super().reset(seed=seed)
        graph = (options or {}).get("graph")
        situation = self.world.initial
        self._scene, self._scripts = self._home, self._home_scripts
        if graph is not None:
            situation = self.world.situation(from_graph(self.task, graph))
            if situation.success:
                raise ConfigError(
                    f"the task {self.task.name!r} is already done in this graph; start from an earlier one"
                )
            self._scene, self._scripts = graph, script_lines(self.task, graph)
        self._situation = self._latest = situation
        self._steps = 0
        return situation.observation.copy(), {"action_mask": situation.action_mask.copy()}

    def step(self, action: int) -> tuple[NDArray[np.int8], float, bool, bool, dict[str, Any]]:
        """Take one action.

        Raises:
            InadmissibleAction: If there is no action with this id. (An action outside the mask is not an error.)
            gymnasium.error.ResetNeeded: If no episode is going on.
        """
        action = operator.index(action)
        if not 0 <= action < self._action_count:
            raise InadmissibleAction(
                f"there is no action {action}: the ids of {self.task.name!r} run from 0 to {self._action_count - 1}"
            )
        situation, executed = self.world.outcome(self.situation, action)
        self._steps += 1
        terminated = situation.success
        truncated = not terminated and self._steps >= self._step_limit
        self._latest = situation
        self._situation = None if terminated or truncated else situation
        info = {
            "action_mask": situation.action_mask.copy(),
            "script": self._scripts[action],
            "executed": executed,
            "duration": 1,
            "success": terminated,
        }
        return situation.observation.copy(), float(terminated), terminated, truncated, info

    def graph(self) -> Graph:
        """The household as it is now, as a VirtualHome graph; ``reset(options={"graph": ...})`` takes it back.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        return to_graph(self.task, self._shown(), self._scene)

    def render(self) -> Any:
        """The flat as text (``"ansi"``) or as a uint8 [height, width, 3] picture (``"rgb_array"``).

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        from twosome.virtualhome import drawing

        if self.render_mode == "ansi":
            return drawing.as_text(self.task, self._shown())
        if self.render_mode == "rgb_array":
            return drawing.as_picture(self.task, self._shown())
        raise gymnasium.error.Error('rendering needs gymnasium.make(..., render_mode="ansi" or "rgb_array")')

    def _shown(self) -> Household:
        """The household last seen, be the episode over or not."""
        if self._latest is None:
            raise gymnasium.error.ResetNeeded("there is nothing to show yet; call reset() first")
        return self._latest.state

"""What vector environments of texts have in common, wherever their environments run: seeds out, batches in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from twosome.text.states import Traits


class TextVectorEnv(VectorEnv):
    """Text environments side by side; autoreset is disabled.

    A subclass says how environments are asked: ``_reset_each`` and ``_step_each`` take what each is to be given, and
    return what it answered.

    Attributes:
        traits: What the environments say of themselves.
    """

    traits: Traits

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self._observations: list[Any] = [None] * num_envs

    def _describe(self, observations: gymnasium.Space[Any], actions: gymnasium.Space[Any], traits: Traits) -> None:
        """Note what the first environment says of itself."""
        self.single_observation_space, self.single_action_space, self.traits = observations, actions, traits
        self.observation_space = batch_space(observations, self.num_envs)
        self.action_space = batch_space(actions, self.num_envs)

    def _reset_each(self, calls: Mapping[int, dict[str, Any]]) -> Mapping[int, tuple[Any, Any]]:
        raise NotImplementedError

    def _step_each(self, calls: Mapping[int, dict[str, Any]]) -> Mapping[int, tuple[Any, ...]]:
        raise NotImplementedError

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Reset all environments, or those that ``options["reset_mask"]`` marks; see Gymnasium's vector API."""
        mask, seeds, further = asked_to_reset(self.num_envs, seed, options)
        chosen = [int(index) for index in np.flatnonzero(mask)]
        calls = {index: {"seed": seeds[index], "options": further or None} for index in chosen}
        for index, (observation, _) in self._reset_each(calls).items():
            self._observations[index] = observation
        return self._batched(), {}

    def step(self, actions: Any) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """Take one action in every environment; see Gymnasium's vector API."""
        answers = self._step_each({index: {"action": int(action)} for index, action in enumerate(actions)})
        infos: dict[str, Any] = {}
        for index in range(self.num_envs):
            self._observations[index] = answers[index][0]
            infos = self._add_info(infos, answers[index][4], index)
        rewards, terminated, truncated = (
            np.array([answers[index][place] for index in range(self.num_envs)], dtype=kind)
            for place, kind in ((1, np.float64), (2, np.bool_), (3, np.bool_))
        )
        return self._batched(), rewards, terminated, truncated, infos

    def _batched(self) -> dict[str, Any]:
        return {key: tuple(observation[key] for observation in self._observations) for key in ("prompt", "actions")}


def asked_to_reset(
    num_envs: int, seed: int | Sequence[int | None] | None, options: Mapping[str, Any] | None
) -> tuple[Any, list[int | None], dict[str, Any]]:
    """What a reset of Gymnasium's vector API asks: which environments (bool [N]), their seeds, the other options."""
    further = dict(options or {})
    mask = further.pop("reset_mask", np.ones(num_envs, dtype=np.bool_))
    if seed is None or isinstance(seed, int):
        return mask, [None if seed is None else seed + index for index in range(num_envs)], further
    return mask, list(seed), further

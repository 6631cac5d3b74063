"""Gymnasium's own checker, on a text environment and on the world inside it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
from gymnasium.utils.env_checker import check_env

from twosome.principles.faults import Fault
from twosome.text.environment import TextEnv


class _Folded(gymnasium.Env[Any, Any]):
    """A text environment in which every action of the action space is admissible, as Gymnasium's checker expects.

    The index is folded into the admissible list of the moment.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self.env = env
        self.metadata, self.render_mode, self.spec = env.metadata, env.render_mode, env.spec
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self._count = 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._np_random = self.env.unwrapped._np_random
        self._count = len(observation["actions"])
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(int(action) % max(1, self._count))
        self._count = len(observation["actions"])
        return observation, reward, terminated, truncated, info


def api_faults(env: gymnasium.Env[Any, Any]) -> Iterator[Fault]:
    """Yield what Gymnasium's checker finds, with the environment it finds it in.

    The text environment is checked, and the one it wraps, if any, with its pictures if it was made by Gymnasium.
    """
    text = env.unwrapped
    yield from _check(_Folded(env), "the text environment", pictures=False)
    if isinstance(text, TextEnv):
        inside = text.env.unwrapped
        yield from _check(inside, f"the world inside, {type(inside).__name__}", pictures=inside.spec is not None)


def _check(env: gymnasium.Env[Any, Any], name: str, *, pictures: bool) -> Iterator[Fault]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check_env(env, skip_render_check=not pictures, skip_close_check=not pictures)
        except Exception as error:  # whatever somebody's environment raises is what is to be reported
            yield Fault("api", "error", f"Gymnasium: {' '.join(str(error).split()) or type(error).__name__}", name)
    for warning in caught:
        yield Fault("api", "warning", f"Gymnasium: {_plain(str(warning.message))}", name)


def _plain(message: str) -> str:
    """A warning of Gymnasium without its terminal colours and its own prefix."""
    return " ".join(message.replace("\033[33m", "").replace("\033[0m", "").replace("WARN: ", "").split())

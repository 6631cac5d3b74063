"""BabyAI and Minigrid: their environments as they are, with the bot as oracle, told by :mod:`twosome.worlds.grid`."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from typing import Any

import gymnasium

from twosome.errors import ConfigError
from twosome.text.environment import TextEnv
from twosome.worlds.extras import need
from twosome.worlds.grid import GridNarrator, Told

EXTRA = "babyai"
PATIENCE = 5.0
"""Seconds that the bot may think about a step: in some levels its search never ends."""


class GridWorld(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A Minigrid environment that tells success, and knows what its bot would do.

    Nothing else changes: observations, rewards (``1 - 0.9 * steps / limit`` at the goal, else 0), seeds.

    Args:
        env: Any environment of minigrid, in wrappers of yours or without.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._bot: Any = None
        self._taken: Any = None
        self._lost = False

    @property
    def time_limit(self) -> int | None:
        """Steps after which an episode is cut; levels choose it at a reset, and None is known before the first."""
        return int(self.get_wrapper_attr("max_steps")) or None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; what minigrid prints while it looks for a level is not shown."""
        self._bot, self._taken, self._lost = None, None, False
        with contextlib.redirect_stdout(io.StringIO()):
            observation, info = self.env.reset(seed=seed, options=options)
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step; the last one says whether the mission is done."""
        self._taken = action
        observation, reward, terminated, truncated, info = self.env.step(int(action))
        if terminated or truncated:
            info = {**info, "success": bool(terminated and float(reward) > 0)}
        return observation, float(reward), terminated, truncated, info

    def advise(self) -> int | None:
        """What BabyAI's bot would do now, or None where it gives up, or thinks for too long.

        It is made when it is first asked, and follows an episode from there; so ask at every step, or at none.
        """
        if self._lost:
            return None
        try:
            with _within(PATIENCE):
                if self._bot is None:
                    self._bot, self._taken = need("minigrid.utils.baby_ai_bot", EXTRA).BabyAIBot(self.unwrapped), None
                return int(self._bot.replan(self._taken))
        except Exception:  # in some levels it raises AssertionError, in worlds without a mission others
            self._lost = True
            return None


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the calls made here after some time; works in every thread and on every system."""
    deadline = time.monotonic() + seconds

    def watch(*_: Any) -> None:
        if time.monotonic() > deadline:
            raise TimeoutError

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


def make(game: str, *, all_actions: bool = False, told: Told = "all", **arguments: Any) -> TextEnv:
    """A level as a text environment.

    Args:
        game: The level's name, such as ``GoToLocal``, or an id that minigrid registers, such as
            ``MiniGrid-Empty-5x5-v0``.
        all_actions: Offer all six actions everywhere, also those that would do nothing.
        told: ``all`` that is in view, or what the ``mission`` is about; see :mod:`twosome.worlds.grid`.
        **arguments: Of :func:`gymnasium.make`.

    Raises:
        ConfigError: If minigrid is not installed, or has no such level.
    """
    need("minigrid", EXTRA)
    name = game if game.startswith(("BabyAI-", "MiniGrid-")) else f"BabyAI-{game}-v0"
    if name not in gymnasium.registry:
        raise ConfigError(f"minigrid has no level {game!r}: `twosome tasks babyai` lists them")
    env = gymnasium.make(name, disable_env_checker=True, **arguments)
    return TextEnv(GridWorld(env), GridNarrator(all_actions=all_actions, told=told))


def games() -> list[str]:
    """The names of all levels.

    Raises:
        ConfigError: If minigrid is not installed.
    """
    need("minigrid", EXTRA)
    return sorted(name for name in gymnasium.registry if name.startswith(("BabyAI-", "MiniGrid-")))

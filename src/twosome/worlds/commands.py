"""Worlds that are played by typed commands: what they share, whatever says the answers.

Their own words are shown as they are, part by part; an action is a command that the world offers at the moment. Each
keeps a few promises that the worlds themselves do not: the end of an episode stays the end; every command counts
towards the time limit, also one that the world refuses; success is told at every end.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium import spaces

from twosome.errors import ConfigError, EnvironmentFault
from twosome.text.environment import Option, Words

Said = dict[str, str]


@dataclass(frozen=True)
class Moment:
    """What a world says after a command, or at the start.

    Attributes:
        said: Its words, by part: aim, place, inventory, answer and the like.
        commands: What can be done now, in a stable order.
        reward: What the command was paid.
        over: Whether the world is at its end.
        won: Whether that is a success.
    """

    said: Mapping[str, str]
    commands: tuple[str, ...]
    reward: float = 0.0
    over: bool = False
    won: bool = False


class CommandWorld(gymnasium.Env[Said, str]):
    """An environment of words: an observation has a text for every part, an action is a command.

    A command that is not offered changes nothing and is answered with nothing; it counts as a step. Those that are
    stand in ``info["commands"]``.

    Args:
        parts: Names of the parts.
        time_limit: Commands after which an episode is cut.

    Attributes:
        advised: What an oracle said last; taken also where it is not offered.

    Raises:
        ConfigError: If the time limit is no whole number from 1.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(self, parts: tuple[str, ...], time_limit: int) -> None:
        if isinstance(time_limit, bool) or not isinstance(time_limit, int) or time_limit < 1:
            raise ConfigError(f"time_limit must be a whole number of commands, at least 1, got {time_limit!r}")
        self.time_limit = time_limit
        self.observation_space = spaces.Dict({part: Words(empty=True) for part in parts})  # type: ignore[assignment]
        self.action_space = Words()
        self.advised: str | None = None
        self._moment: Moment | None = None
        self._steps = 0

    @abstractmethod
    def begin(self, options: Mapping[str, Any]) -> Moment:
        """Start an episode; what is random is drawn from ``self.np_random``."""

    @abstractmethod
    def do(self, command: str) -> Moment:
        """Take a command that is offered."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Said, dict[str, Any]]:
        """Start an episode; see :meth:`gymnasium.Env.reset`."""
        super().reset(seed=seed)
        self._steps = 0
        self._moment = self.begin(options or {})
        return self._shown(self._moment)

    def step(self, action: str) -> tuple[Said, float, bool, bool, dict[str, Any]]:
        """Take a command.

        Raises:
            EnvironmentFault: If there is no episode, or it is over.
        """
        if self._moment is None or self._moment.over or self._steps >= self.time_limit:
            raise EnvironmentFault(f"{type(self).__name__} takes no command after the end of an episode; reset it")
        before, self._steps = self._moment, self._steps + 1
        offered = action in before.commands or action == self.advised
        self._moment = self.do(action) if offered else Moment(before.said, before.commands)
        self.advised = None
        observation, info = self._shown(self._moment)
        cut = not self._moment.over and self._steps >= self.time_limit
        if self._moment.over or cut:
            info["success"] = self._moment.over and self._moment.won
        return observation, self._moment.reward, self._moment.over, cut, info

    def _shown(self, moment: Moment) -> tuple[Said, dict[str, Any]]:
        return dict(moment.said), {"commands": moment.commands}


class Quoting:
    """Puts a world's own words one after the other, and closes with a few that a command reads on from.

    Args:
        world: Whose words they are.
        parts: Which of them a prompt has, in order; each a paragraph.
        recalled: Which of them are worth telling again in a history.
        closing: The last words of a prompt.
    """

    def __init__(self, world: str, parts: tuple[str, ...], recalled: tuple[str, ...], closing: str) -> None:
        self.quotes = world
        self.parts = parts
        self.recalled = recalled
        self.closing = closing

    def narrate(self, observation: Said, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        """Return the paragraphs that are not empty, and the commands as they are."""
        paragraphs = [observation[part] for part in self.parts if observation[part]]
        options = tuple(Option(command, command) for command in info["commands"])
        return "\n\n".join([*paragraphs, self.closing]), options

    def recall(self, observation: Said, info: dict[str, Any]) -> str:
        """Return what is worth telling again."""
        return "\n".join(observation[part] for part in self.recalled if observation[part])


def tidy(text: str | None) -> str:
    """A text without empty lines, tabs, white space at the ends of lines, and the prompt ``>`` of an interpreter."""
    lines = [" ".join(line.split()) for line in (text or "").replace("\t", " ").splitlines()]
    return "\n".join(line for line in lines if line and line != ">")

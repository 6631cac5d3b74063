"""Checks every answer of an environment, so that a fault is told where it happens: in which one, when, and what."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from twosome.decision import Decision
from twosome.errors import EnvironmentFault, InvalidDecision
from twosome.text.environment import MOST_ACTIONS, TextObservation, text_space

LARGEST_REWARD = float(np.finfo(np.float32).max)
"""Rewards are kept in float32; what is larger would be infinite there."""

LONGEST_DURATION = 2**31 - 1
"""Primitive steps of one action."""


class GuardedEnv(gymnasium.Wrapper[TextObservation, int, TextObservation, int]):
    """A text environment whose every answer is checked before it is believed.

    What comes out is plain: a text observation, a float, two bools, and of the info only ``duration`` (1 where the
    environment says nothing) and ``success`` (absent where it says nothing). The spaces are those of any text
    environment, so that environments of one task may differ in theirs; the guard knows better what it lets pass.

    After the end of an episode nothing is decided, so its last observation needs no actions; the ones before stand in
    for them, and nobody chooses from them. Where a limit cut the episode, the critic still values the last prompt;
    where it terminated nothing is worth anything any more, and the decision before stands in for all of it.

    Args:
        env: A text environment.
        name: What to call it in messages, such as ``"environment 2 of tomato-salad"``.
    """

    def __init__(self, env: gymnasium.Env[TextObservation, int], name: str) -> None:
        super().__init__(env)
        self.observation_space = text_space()  # type: ignore[assignment]
        self.action_space = spaces.Discrete(MOST_ACTIONS)  # type: ignore[assignment]
        self.name = name
        self._seed: int | None = None
        self._steps = 0
        self._decision: Decision | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[TextObservation, dict[str, Any]]:
        """Start an episode.

        Raises:
            EnvironmentFault: If the environment raises, or returns what is no text observation.
        """
        self._seed, self._steps = seed, 0
        answer = self._ask(lambda: self.env.reset(seed=seed, options=options))
        observation, info = self._parts(answer, ("observation", "info"))
        self._mapping("info", info)
        return self._observation(observation), {}

    def step(self, action: int) -> tuple[TextObservation, float, bool, bool, dict[str, Any]]:
        """Take an admissible action.

        Raises:
            EnvironmentFault: If the environment raises, or returns something else than it promised.
        """
        self._steps += 1
        answer = self._ask(lambda: self.env.step(action))
        names = ("observation", "reward", "terminated", "truncated", "info")
        observation, reward, terminated, truncated, info = self._parts(answer, names)
        self._mapping("info", info)
        paid = self._reward(reward, action)
        ended, cut = self._flag("terminated", terminated), self._flag("truncated", truncated)
        kept: dict[str, Any] = {"duration": self._duration(info.get("duration", 1))}
        if info.get("success") is not None:
            kept["success"] = self._flag("info['success']", info["success"])
        return self._observation(observation, ended=ended, cut=cut), paid, ended, cut, kept

    def close(self) -> None:
        """Close the environment; one that cannot even be closed is reported and left."""
        close_or_tell(self.env, self.name)

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except EnvironmentFault as fault:  # one that an environment elsewhere tells in a sentence of its own
            raise EnvironmentFault(f"{self._where()}: {fault}") from fault
        except (Exception, SystemExit) as error:  # a simulator may raise anything, and must not end the run by itself
            raise self._fault(f"raised {said(error)}") from error

    def _parts(self, answer: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
        if not isinstance(answer, tuple) or len(answer) != len(names):
            given = f"{len(answer)} values" if isinstance(answer, tuple) else type(answer).__name__
            raise self._fault(f"returned {given} instead of the {len(names)} values {', '.join(names)}")
        return answer

    def _observation(self, observation: Any, *, ended: bool = False, cut: bool = False) -> TextObservation:
        """The observation with a valid decision in it."""
        self._mapping("the observation", observation)
        before = self._decision
        if before is not None and (ended or cut) and not _offered(observation):
            if ended:
                return {"prompt": before.prompt, "actions": before.actions}
            observation = {**observation, "actions": before.actions}
        missing = [key for key in ("prompt", "actions") if key not in observation]
        if missing:
            raise self._fault(
                f"returned an observation without {missing[0]!r}; a text observation has 'prompt' and 'actions'"
            )
        actions = observation["actions"]
        if not isinstance(actions, (tuple, list)):
            raise self._fault(f"returned actions of type {type(actions).__name__}; expected a tuple of texts")
        for text in (observation["prompt"], *actions):
            if not isinstance(text, str):
                raise self._fault(f"returned {_short(text)} of type {type(text).__name__} where a text was expected")
        try:
            self._decision = Decision(observation["prompt"], tuple(actions))
        except InvalidDecision as error:
            raise self._fault(f"returned an observation that is no decision: {error}") from None
        return {"prompt": self._decision.prompt, "actions": self._decision.actions}

    def _reward(self, reward: Any, action: int) -> float:
        if not isinstance(reward, numbers.Real) and getattr(reward, "shape", None) != ():
            raise self._fault(f"returned a reward of type {type(reward).__name__}; a reward must be a finite number")
        try:
            number = float(reward)
        except OverflowError:  # an integer with hundreds of digits
            number = math.inf if reward > 0 else -math.inf
        except (TypeError, ValueError):
            raise self._fault(f"returned the reward {_short(reward)}; a reward must be a finite number") from None
        if not math.isfinite(number) or abs(number) > LARGEST_REWARD:
            known = self._decision is not None and action < len(self._decision.actions)
            phrase = self._decision.actions[action] if known and self._decision is not None else action
            raise self._fault(f"paid {number} for {phrase!r}; a reward must be a finite number, also in float32")
        return number

    def _flag(self, name: str, value: Any) -> bool:
        if not isinstance(value, (bool, np.bool_)):
            raise self._fault(f"returned {name}={_short(value)} of type {type(value).__name__}; expected True or False")
        return bool(value)

    def _duration(self, duration: Any) -> int:
        whole = isinstance(duration, numbers.Integral) and not isinstance(duration, bool)
        if not whole or not 1 <= duration <= LONGEST_DURATION:
            raise self._fault(
                f"returned info['duration']={_short(duration)}; expected a whole number of primitive steps, at least 1"
            )
        return int(duration)

    def _mapping(self, name: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise self._fault(f"returned {name} as {type(value).__name__}; expected a dictionary")

    def _fault(self, what: str) -> EnvironmentFault:
        return EnvironmentFault(f"{self._where()}, {what}")

    def _where(self) -> str:
        when = f"step {self._steps}" if self._steps else "the reset"
        return f"{self.name}, at {when} of the episode with seed {self._seed}"


def _offered(observation: Mapping[str, Any]) -> bool:
    """Whether an observation comes with actions, or with what was meant to be some."""
    actions = observation.get("actions")
    return actions is not None and not (isinstance(actions, (tuple, list)) and len(actions) == 0)


def close_or_tell(env: gymnasium.Env[Any, Any], name: str) -> None:
    """Close an environment; one that cannot be closed, or would end the process instead, is reported and left."""
    try:
        env.close()
    except (Exception, SystemExit) as error:
        warnings.warn(f"{name} could not be closed: {said(error)}", RuntimeWarning, stacklevel=3)


def said(error: BaseException) -> str:
    """An error's kind and its first line, if it can say what it is."""
    words = words_of(error).splitlines()
    return f"{type(error).__name__}: {words[0][:200]}" if words else type(error).__name__


def words_of(error: BaseException) -> str:
    """What an error says; empty if it says nothing, or cannot even say what it is."""
    try:
        return str(error).strip()
    except Exception:
        return ""


def _short(value: Any) -> str:
    """A value in a message, on one line and not too long."""
    try:
        return " ".join(repr(value).split())[:80]
    except Exception:  # a number with too many digits, or an object that cannot even say what it is
        return f"a {type(value).__name__}"

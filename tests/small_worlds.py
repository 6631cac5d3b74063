"""Small worlds as people bring them: each does one thing that is allowed and was once taken wrong."""

from __future__ import annotations

import random
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from twosome import Option, TextEnv
from twosome.envs.exploring import Transition

GO, REST = 0, 1


class Line(gymnasium.Env[int, int]):
    """A walk to the last of some cells; what it pays and tells is up to the arguments.

    Args:
        cells: Steps to the end.
        paid: For the step into the last cell.
        step: For every other step on the way.
        rest: For resting; None if one may not rest.
        rest_ends: Whether resting ends the episode.
        tells: Whether the info tells success.
        limit: Steps after which an episode is cut; None for never.
        ends_bare: What the last observation lacks: "actions", "prompt and actions", or nothing.
    """

    observation_space = spaces.Discrete(1000)

    def __init__(
        self,
        cells: int = 3,
        paid: float = 1.0,
        step: float = 0.0,
        rest: float | None = 0.0,
        rest_ends: bool = False,
        tells: bool = False,
        limit: int | None = 20,
        ends_bare: str = "",
    ) -> None:
        self.cells, self.paid, self.pay, self.rest, self.rest_ends = cells, paid, step, rest, rest_ends
        self.tells, self.time_limit, self.ends_bare = tells, limit, ends_bare
        self.action_space = spaces.Discrete(1 if rest is None else 2)  # type: ignore[assignment]
        self.cell = self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.cell = self.steps = 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if action == REST:
            assert self.rest is not None
            reward, terminated, success = self.rest, self.rest_ends, False
        else:
            self.cell += 1
            terminated = success = self.cell == self.cells
            reward = self.paid if terminated else self.pay
        truncated = not terminated and self.time_limit is not None and self.steps >= self.time_limit
        info: dict[str, Any] = {"success": success} if self.tells else {}
        if (terminated or truncated) and self.ends_bare:
            info["bare"] = self.ends_bare
        return self.cell, reward, terminated, truncated, info


class LineWorld:
    """The same walk with its states shown."""

    initial_state = 0

    def __init__(self, env: Line) -> None:
        self.env = env

    def actions(self, state: int) -> list[int]:
        return [GO] if self.env.rest is None else [GO, REST]

    def transition(self, state: int, action: int) -> Transition[int]:
        env = self.env
        if action == REST:
            assert env.rest is not None
            ends = env.rest_ends
            return Transition(state, env.rest, 1, ends, False if env.tells and ends else None)
        ends = state + 1 == env.cells
        return Transition(state + 1, env.paid if ends else env.pay, 1, ends, True if env.tells and ends else None)

    def view(self, state: int) -> tuple[int, dict[str, Any]]:
        return state, {}


class LineWords:
    """Tells a walk; a subclass may say by a ``joiner`` what its phrases are joined with."""

    PROMPT, GO_ON, HOLD = "{}is behind us. We should now", "go on", "rest"
    STEP = "One step "

    def __init__(self, rests: bool) -> None:
        self.rests = rests

    def narrate(self, observation: int, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        prompt = self.PROMPT.format(self.STEP * (observation + 1))
        options = (Option(self.GO_ON, GO), *([Option(self.HOLD, REST)] if self.rests else []))
        bare = info.get("bare", "")
        return "" if "prompt" in bare else prompt, () if "actions" in bare else options


class ChineseLineWords(LineWords):
    """The same in a language that is written without spaces, and the narrator says so."""

    PROMPT, GO_ON, HOLD = "我们走了{}步。现在应该", "继续走", "休息"
    STEP = "一"
    joiner = ""


def make_line(*, shown: bool = False, words: type[LineWords] = LineWords, **arguments: Any) -> TextEnv:
    """A walk; with ``shown`` its states can be searched."""
    env = Line(**arguments)
    if shown:
        env.world = LineWorld(env)  # type: ignore[attr-defined]
    return TextEnv(env, words(env.rest is not None))


def make_chinese_line(**arguments: Any) -> TextEnv:
    return make_line(words=ChineseLineWords, **arguments)


class Unordered(gymnasium.Env[dict[str, Any], int]):
    """A text environment that is not the same twice.

    Args:
        why: "set": its actions come from a set; "random": its prompts from the module ``random``; "rewards": its
            rewards do; "nothing": it is the same.
    """

    WORDS = ("open the door", "close the door", "knock at the door", "paint the door", "leave the door")
    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, why: str = "set", limit: int = 50) -> None:
        text = spaces.Text(min_length=1, max_length=200, charset="".join(map(chr, range(32, 127))))
        self.observation_space = spaces.Dict({"prompt": text, "actions": spaces.Sequence(text)})  # type: ignore[assignment]
        self.action_space = spaces.Discrete(len(self.WORDS))  # type: ignore[assignment]
        self.why, self.limit, self.steps = why, limit, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self.look(), {}

    def step(self, action: int) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        self.steps += 1
        reward = random.random() if self.why == "rewards" else 0.5
        return self.look(), reward, False, self.steps >= self.limit, {}

    def look(self) -> dict[str, Any]:
        door = random.choice(("red", "blue", "green", "white")) if self.why == "random" else "red"
        words = tuple(set(self.WORDS)) if self.why == "set" else self.WORDS
        return {
            "prompt": f"We are before the {door} door, for the {self.steps}th time. We should now",
            "actions": words,
        }


class Many(gymnasium.Env[np.ndarray, Any]):
    """One of many things is to be taken, the last but one; actions are pairs, so no number of them is known."""

    observation_space = spaces.Box(0, 1, (1,), np.float32)

    def __init__(self, count: int = 1344) -> None:
        self.count = count
        self.action_space = spaces.MultiDiscrete([2, count])  # type: ignore[assignment]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        right = int(action[1]) == self.count - 2
        return np.zeros(1, np.float32), float(right), True, False, {"success": right}


class ManyWords:
    def __init__(self, count: int) -> None:
        self.count = count

    def narrate(self, observation: np.ndarray, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        options = tuple(Option(f"take number {number}", np.array([0, number])) for number in range(self.count))
        return "Many numbers lie here. We should now", options


def make_many(count: int = 1344) -> TextEnv:
    return TextEnv(Many(count), ManyWords(count))


for name, maker in {
    "Line-v0": make_line,
    "Unordered-v0": Unordered,
    "Many-v0": make_many,
    "ChineseLine-v0": make_chinese_line,
}.items():
    if name not in gymnasium.registry:
        gymnasium.register(id=name, entry_point=maker)

"""What was met before the present moment, at the beginning of the prompt."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest
from gymnasium import spaces

from twosome.errors import ConfigError
from twosome.text.environment import Option, TextEnv
from twosome.text.states import text_world
from twosome.text.tasks import make_task


class Counting(gymnasium.Env[int, int]):
    """Counts its steps."""

    observation_space = spaces.Discrete(100)
    action_space = spaces.Discrete(1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return self.count, 0.0, False, False, {}


class Plain:
    """Says the number."""

    def narrate(self, observation: int, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        return f"It is {observation}, so", (Option("go on", 0),)


class Brief(Plain):
    """Says which part of a moment is worth telling again."""

    def recall(self, observation: int, info: dict[str, Any]) -> str:
        return f"It was {observation}."


class Unspaced(Plain):
    """Speaks a language without spaces."""

    joiner = ""


def prompts(narrator: Any, history: int, steps: int) -> list[str]:
    env = TextEnv(Counting(), narrator, history)
    told = [env.reset()[0]["prompt"]]
    return told + [env.step(0)[0]["prompt"] for _ in range(steps)]


def test_a_moment_is_told_again_with_the_phrase_that_was_chosen() -> None:
    assert prompts(Plain(), 2, 3) == [
        "It is 0, so",
        "It is 0, so go on\nIt is 1, so",
        "It is 0, so go on\nIt is 1, so go on\nIt is 2, so",
        "It is 1, so go on\nIt is 2, so go on\nIt is 3, so",
    ]


def test_a_narrator_may_say_what_is_worth_telling_again() -> None:
    assert prompts(Brief(), 1, 2)[-1] == "It was 1.\n> go on\nIt is 2, so"


def test_a_language_without_spaces_gets_none() -> None:
    assert prompts(Unspaced(), 1, 1)[-1] == "It is 0, sogo on\nIt is 1, so"


def test_a_new_episode_remembers_nothing() -> None:
    env = TextEnv(Counting(), Plain(), 3)
    env.reset()
    env.step(0)
    assert env.reset()[0]["prompt"] == "It is 0, so"


def test_it_is_a_setting_of_every_task_and_no_prompt_belongs_to_a_state_then() -> None:
    env = make_task("tomato-salad", history=1)
    first, _ = env.reset(seed=0)
    second, *_ = env.step(0)
    assert second["prompt"].startswith(f"{first['prompt']} {first['actions'][0]}\n")
    assert text_world(env) is None
    assert text_world(make_task("tomato-salad")) is not None


@pytest.mark.parametrize("length", [-1, 1.5, True, "2"])
def test_what_is_no_length_is_refused(length: Any) -> None:
    with pytest.raises(ConfigError, match="how many moments"):
        make_task("tomato-salad", history=length)

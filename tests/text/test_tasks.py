"""Task names to environments, alone and side by side."""

from __future__ import annotations

from contextlib import closing

import gymnasium
import numpy as np
import pytest

from twosome.errors import ConfigError
from twosome.text.environment import TextEnv
from twosome.text.states import text_world
from twosome.text.tasks import TASKS, make_task, make_vector_task


@pytest.mark.parametrize("task", TASKS)
def test_every_task_can_be_made_and_shows_its_states(task: str) -> None:
    env = make_task(task)
    shown = text_world(env)
    assert shown is not None
    observation, _ = env.reset(seed=0)
    prompt, options = shown.narrate(shown.world.initial_state)
    assert observation == {"prompt": prompt, "actions": tuple(option.text for option in options)}
    assert shown.time_limit == (200 if TASKS[task].gamma == 0.99 else 50)


def test_a_world_is_found_through_wrappers_and_missed_without_complaint() -> None:
    env = make_task("tomato-salad")
    assert text_world(gymnasium.wrappers.TimeLimit(env, 5)) is not None
    assert text_world(gymnasium.make("CartPole-v1")) is None
    assert text_world(TextEnv(gymnasium.make("CartPole-v1"), env.unwrapped.narrator)) is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("task", ["tomato-salad", "entertainment"])
def test_processes_give_the_same_trajectories(task: str) -> None:
    """Episodes that end are reset by hand, as the collector does."""
    seeds, rng = [1, 2], np.random.default_rng(0)
    with closing(make_vector_task(task, 2)) as one, closing(make_vector_task(task, 2, processes=True)) as other:
        observations = [envs.reset(seed=seeds)[0] for envs in (one, other)]
        ends = 0
        for _ in range(120):
            assert observations[0] == observations[1]
            actions = np.array([rng.integers(len(actions)) for actions in observations[0]["actions"]])
            steps = [envs.step(actions) for envs in (one, other)]
            for left, right in zip(steps[0][1:4], steps[1][1:4], strict=True):
                assert np.array_equal(left, right)
            assert np.array_equal(steps[0][4]["duration"], steps[1][4]["duration"])
            observations = [step[0] for step in steps]
            ended = steps[0][2] | steps[0][3]
            if ended.any():
                ends += 1
                resets = (envs.reset(seed=seeds, options={"reset_mask": ended.copy()}) for envs in (one, other))
                observations = [observation for observation, _ in resets]
        assert ends > 0


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'tomato-salad'"):
        make_task("tomato-salat")
    with pytest.raises(ConfigError, match="not a text environment"):
        make_task("CartPole-v1")

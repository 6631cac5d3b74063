"""How fast the worlds are: decisions per second of processor time, bare and in words, and frames per second."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium

from twosome.text.tasks import TASKS, make_task

WORLDS = {"tomato-salad": 8500.0, "tomato-lettuce-salad": 8500.0, "food-preparation": 165.0, "entertainment": 165.0}
"""Tasks measured, with the decisions per second of the published environment: one core of an AMD EPYC, Python 3.11."""

TEXT_SHARE = 5
"""The text environment, the slower one, takes this fraction of the decisions."""
FRAMES = 40
"""Frames drawn per repetition."""


@dataclass(frozen=True)
class WorldSpeed:
    """How fast a task's world is; rates are medians, per second of processor time of one core.

    Attributes:
        task: The task's name.
        steps: Decisions (macro steps) through ``env.step``, resets included.
        published: The published environment's rate.
        ratio: ``steps / published``.
        text_steps: Decisions of the text environment, narrated.
        frames: Pictures drawn by ``render``.
    """

    task: str
    steps: float
    published: float
    ratio: float
    text_steps: float
    frames: float


def measure_world(task: str, *, steps: int = 50_000, repetitions: int = 5, seed: int = 0) -> WorldSpeed:
    """Measure a task of :data:`WORLDS` in this process.

    The actions are drawn beforehand, uniformly over the admissible ones, so that only the environment is measured.

    Args:
        task: The task.
        steps: Decisions per repetition.
        repetitions: How often everything is measured.
        seed: Of the actions.
    """
    text = make_task(task)
    choices, actions = _draw(text, steps, seed)
    choices = choices[: max(1, steps // TEXT_SHARE)]
    bare = gymnasium.make(TASKS[task].env_id, **TASKS[task].arguments)
    painted = gymnasium.make(TASKS[task].env_id, **TASKS[task].arguments, render_mode="rgb_array")
    few = actions[:FRAMES]
    # What is worked out once per process and kept, be it rules or sprites, is not what training waits for.
    _replay(bare, actions)
    _replay(text, choices)
    _replay(painted, few, painted.render)
    rate = _median(lambda: _replay(bare, actions), len(actions), repetitions)
    walking = _median(lambda: _replay(painted, few), len(few), repetitions)
    drawing = _median(lambda: _replay(painted, few, painted.render), len(few), repetitions)
    return WorldSpeed(
        task=task,
        steps=rate,
        published=WORLDS[task],
        ratio=rate / WORLDS[task],
        text_steps=_median(lambda: _replay(text, choices), len(choices), repetitions),
        frames=1 / max(1 / drawing - 1 / walking, 1e-9),
    )


def _draw(env: gymnasium.Env[Any, int], steps: int, seed: int) -> tuple[list[int], list[Any]]:
    """Random choices, and the actions of the world inside that they stand for."""
    rng, choices, actions = random.Random(seed), [], []
    observation, _ = env.reset()
    for _ in range(steps):
        choice = rng.randrange(len(observation["actions"]))
        choices.append(choice)
        actions.append(env.unwrapped._options[choice].env_action)  # type: ignore[attr-defined]
        observation, _, terminated, truncated, _ = env.step(choice)
        if terminated or truncated:
            observation, _ = env.reset()
    return choices, actions


def _replay(env: gymnasium.Env[Any, Any], actions: Sequence[Any], look: Callable[[], Any] | None = None) -> None:
    """Take the actions, reset where an episode ends, and look after each."""
    env.reset()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if look is not None:
            look()
        if terminated or truncated:
            env.reset()


def _median(work: Callable[[], None], count: int, repetitions: int) -> float:
    """Things per second of processor time."""
    rates = []
    for _ in range(repetitions):
        began = time.process_time()
        work()
        rates.append(count / max(time.process_time() - began, 1e-9))
    return statistics.median(rates)

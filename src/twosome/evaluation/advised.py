"""What the oracle of a world that cannot be searched achieves: sampled, over the very episodes that policies get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np

from twosome.decision import Decision
from twosome.episodes import Episode, Step
from twosome.evaluation.sampled import LONGEST, Evaluation, summarize
from twosome.text.guard import GuardedEnv
from twosome.text.states import has_oracle, time_limit
from twosome.text.tasks import make_task


def evaluate_oracle(
    task: str,
    *,
    episodes: int = 100,
    gamma: float = 0.99,
    seed: int = 0,
    longest: int = LONGEST,
    environment: Mapping[str, Any] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation | None:
    """Let the world's oracle play; None where the world has none.

    An episode in which it is at a loss is left there, and is no success. The episodes begin from the same seeds as
    those of :func:`twosome.evaluation.sampled.evaluate` with the same ``seed``.

    Args:
        task: See :func:`twosome.text.tasks.make_task`.
        episodes: How many.
        gamma: Discount per primitive step of the returns.
        seed: Seeds the episodes.
        longest: Decisions after which an episode is left that has not ended.
        environment: Further arguments of the environment.
        on_progress: Called after every episode with the number of episodes that ended, and of decisions.
    """
    seeds, finished, taken = np.random.default_rng(seed), [], 0
    with closing(GuardedEnv(make_task(task, **(environment or {})), task)) as env:
        if not has_oracle(env):
            return None
        bound = max(longest, time_limit(env) or 0)
        for index in range(episodes):
            finished.append(_play(env, Episode(index, int(seeds.integers(2**31)), index), bound))
            taken += finished[-1].length
            if on_progress is not None:
                on_progress(index + 1, taken)
    return summarize(finished, task=task, gamma=gamma, greedy=True)


def _play(env: gymnasium.Env[Any, int], episode: Episode, longest: int) -> Episode:
    observation, _ = env.reset(seed=episode.seed)
    while episode.length < longest:
        action = env.unwrapped.advise()  # type: ignore[attr-defined]
        if action is None:
            break
        decision = Decision(observation["prompt"], tuple(observation["actions"]))
        if action == len(decision.actions):  # advised, though it is not offered
            decision = Decision(decision.prompt, (*decision.actions, env.unwrapped.phrase(action)))  # type: ignore[attr-defined]
        certain = tuple(float(index == action) for index in range(len(decision.actions)))
        observation, reward, terminated, truncated, info = env.step(action)
        episode.steps.append(Step(decision, certain, action, float(reward), info["duration"]))
        if terminated or truncated:
            episode.close(info.get("success"), terminated=bool(terminated))
            return episode
    episode.success, episode.told, episode.left = False, True, True
    return episode

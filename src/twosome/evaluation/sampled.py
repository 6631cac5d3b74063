"""How good is a policy: success, discounted return and length over episodes, each with a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import torch
from gymnasium.vector import VectorEnv

from twosome.episodes import Episode
from twosome.evaluation.foreseeing import foresee
from twosome.rollout import Collector
from twosome.success import Way, way
from twosome.text.tasks import make_vector_task, vector_traits
from twosome.types import Policy

LONGEST = 1000
"""Decisions after which an episode is left unless told otherwise: nothing says that every environment has a limit."""
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """What a policy achieved.

    Attributes:
        task: The task's name.
        greedy: Whether the most probable action was always taken.
        episodes: How many episodes were run.
        gamma: Discount per primitive step of the returns.
        success: Fraction of episodes that ended in success (Wilson interval); None where nothing in them says what
            success is.
        success_by: How it is said: told or paid (:mod:`twosome.success`), or None.
        discounted_return: Mean return, discounted per primitive step (normal interval).
        decisions: Mean number of decisions in an episode (normal interval).
        left: How many episodes did not end by themselves and were left after ``longest`` decisions.
        longest: See there.
    """

    task: str
    greedy: bool
    episodes: int
    gamma: float
    success: Estimate | None
    success_by: Way | None
    discounted_return: Estimate
    decisions: Estimate
    left: int = 0
    longest: int | None = None


def evaluate(
    policy: Policy,
    task: str,
    *,
    episodes: int = 100,
    gamma: float = 0.99,
    greedy: bool = False,
    seed: int = 0,
    num_envs: int = 8,
    longest: int = LONGEST,
    environment: Mapping[str, Any] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run a policy for some episodes.

    Args:
        policy: Any policy; it is not changed.
        task: See :func:`twosome.text.tasks.make_task`.
        episodes: How many to run.
        gamma: Discount per primitive step of the returns.
        greedy: Take the most probable action instead of sampling, as the paper does.
        seed: Seeds the actions and the episodes.
        num_envs: Environments side by side; the episodes are the first ``episodes`` to begin.
        longest: Decisions after which an episode is left that has not ended. A world whose own time limit is longer,
            and known, is given that.
        environment: Further arguments of the environment.
        on_progress: Called after every step with the number of episodes that ended, and of decisions.
    """
    foresee(policy, task, environment)
    generator = torch.Generator().manual_seed(seed)
    with closing(make_vector_task(task, min(num_envs, episodes), arguments=environment)) as envs:
        bound = max(longest, _time_limit(envs))
        collector = Collector(envs, seed=seed, generator=generator, greedy=greedy, longest=bound)
        finished = collector.run_episodes(policy, episodes, on_progress=on_progress)
    return replace(summarize(finished, task=task, gamma=gamma, greedy=greedy), longest=bound)


def _time_limit(envs: VectorEnv) -> int:
    """The time limit of the environments, if they are known to have one, else 0."""
    return vector_traits(envs).time_limit or 0


def summarize(episodes: Sequence[Episode], *, task: str, gamma: float, greedy: bool) -> Evaluation:
    """The evaluation that finished episodes amount to."""
    outcomes = [episode.outcome for episode in episodes]
    success_by = way(outcomes)
    return Evaluation(
        task=task,
        greedy=greedy,
        episodes=len(episodes),
        gamma=gamma,
        success=None if success_by is None else proportion([outcome.success is True for outcome in outcomes]),
        success_by=success_by,
        discounted_return=mean([episode.discounted_return(gamma) for episode in episodes]),
        decisions=mean([float(episode.length) for episode in episodes]),
        left=sum(episode.left for episode in episodes),
    )


def proportion(outcomes: Sequence[bool]) -> Estimate:
    """A fraction with Wilson's score interval, which stays inside [0, 1] and is honest near its ends."""
    n, p = len(outcomes), sum(outcomes) / len(outcomes)
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
    return Estimate(p, max(0.0, centre - half), min(1.0, centre + half))


def mean(numbers: Sequence[float]) -> Estimate:
    """A mean with the normal interval of its standard error."""
    n = len(numbers)
    average = math.fsum(numbers) / n
    if n < 2:
        return Estimate(average, average, average)
    deviation = math.sqrt(math.fsum((x - average) ** 2 for x in numbers) / (n - 1))
    half = Z95 * deviation / math.sqrt(n)
    return Estimate(average, average - half, average + half)

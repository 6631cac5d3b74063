"""Decisions of a task as play meets them: uniform play, or that of the model before any training."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Literal

import torch
from torch import Tensor

from twosome.baselines.uniform import UniformPolicy
from twosome.baselines.untrained import Untrained
from twosome.decision import Decision
from twosome.models.policy import LanguageModelPolicy
from twosome.rollout import Collector
from twosome.text.tasks import make_vector_task
from twosome.types import Policy

Play = Literal["uniform", "untrained"]

_PATIENCE = 500
"""Steps of all environments after which no further decisions are looked for."""

_ENVS = 4
_LEAST, _SPAN = 25, 5
"""Sampled decisions are drawn from at least so many steps, and so many times as many decisions, lest all begin an
episode."""


class Unadapted(Untrained):
    """Acts as a policy's model does without its adapter."""

    def __init__(self, policy: LanguageModelPolicy) -> None:
        self._policy = policy

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Of the frozen base: float32 [B, A]."""
        return self._policy.reference_action_log_probs(decisions)


def play(task: str, envs: int, seed: int, policy: Policy | None = None) -> Iterator[list[Decision]]:
    """The decisions that ``envs`` environments are at, step by step, without end.

    Args:
        task: A task of :func:`~twosome.text.tasks.make_task`.
        envs: Environments side by side.
        seed: Of episodes and actions.
        policy: Who plays; None for uniform play.

    Raises:
        ConfigError: If there is no such task.
    """
    with closing(make_vector_task(task, envs)) as worlds:
        collector = Collector(worlds, seed, torch.Generator().manual_seed(seed))
        while True:
            rollout, _ = collector.collect(policy or UniformPolicy(), 1)
            yield list(rollout.decisions[0])


def some(task: str, count: int, seed: int) -> list[Decision]:
    """``count`` distinct decisions that uniform play meets, or as many as it does meet."""
    met: dict[Decision, None] = {}
    for number, row in enumerate(islice(play(task, _ENVS, seed), _PATIENCE)):
        if number >= _LEAST and len(met) >= _SPAN * count:
            break
        met.update(dict.fromkeys(row))
    return random.Random(seed).sample(list(met), min(count, len(met)))

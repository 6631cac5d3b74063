"""Policies that read the observation vector: how large they must be for a task."""

from __future__ import annotations

from contextlib import closing

from twosome.baselines.vector import VectorPolicy
from twosome.errors import ConfigError
from twosome.runs.config import RunConfig
from twosome.text.environment import TextEnv
from twosome.text.tasks import make_task
from twosome.text.telling import vector_shape


def vector_policy(config: RunConfig) -> VectorPolicy:
    """New networks of the size that the task of ``config`` needs.

    Raises:
        ConfigError: If the task does not show numbers.
    """
    with closing(make_task(config.task, **config.environment)) as env:
        text = env.unwrapped
        if not isinstance(text, TextEnv):
            raise ConfigError(
                f"{config.task!r} has no observation vector: it is not made of an environment and a narrator"
            )
        inputs, actions = vector_shape(text.env)
    return VectorPolicy(inputs, actions, config.vector.hidden)

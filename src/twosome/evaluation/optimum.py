"""The best that can be done in a task, where its states can be searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twosome.envs.exploring import WorldTooLarge, explore
from twosome.envs.oracle import Play, best_play
from twosome.text.states import text_world
from twosome.text.tasks import open_task


def optimal_play(task: str, gamma: float, environment: Mapping[str, Any] | None = None) -> Play | None:
    """A best play of a task within its time limit, or None where the world does not show its states, or too many.

    Args:
        task: See :func:`twosome.text.tasks.make_task`.
        gamma: Discount per primitive step.
        environment: Further arguments of the environment.
    """
    with open_task(task, **(environment or {})) as env:
        shown = text_world(env)
    if shown is None or shown.time_limit is None:
        return None
    try:
        return best_play(explore(shown.world), gamma, shown.time_limit)
    except WorldTooLarge:
        return None

"""The best that can be done in a task, where its states can be searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twosome.envs.oracle import explore, solve
from twosome.text.states import text_world
from twosome.text.tasks import make_task


def optimal_return(task: str, gamma: float, environment: Mapping[str, Any] | None = None) -> float | None:
    """The optimal discounted return of a task, or None where the world does not show its states.

    Args:
        task: See :func:`twosome.text.tasks.make_task`.
        gamma: Discount per primitive step.
        environment: Further arguments of the environment.
    """
    shown = text_world(make_task(task, **(environment or {})))
    if shown is None:
        return None
    graph = explore(shown.world)
    return float(solve(graph, gamma).values[graph.index[shown.world.initial_state]])

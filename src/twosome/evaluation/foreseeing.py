"""The decisions that a task can put, where its world shows them, before any is met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twosome.decision import Decision
from twosome.envs.exploring import WorldTooLarge, explore
from twosome.text.states import text_world
from twosome.text.tasks import open_task
from twosome.types import ForeseeingPolicy, Policy


def foresee(policy: Policy, task: str, environment: Mapping[str, Any] | None = None) -> None:
    """Have a policy that may refuse decisions look at all of a task's; others are not bothered.

    Where the world does not show its states, or too many, decisions are refused as they are met.

    Raises:
        ConfigError: If the policy refuses one.
    """
    if not isinstance(policy, ForeseeingPolicy):
        return
    with open_task(task, **(environment or {})) as env:
        shown = text_world(env)
    if shown is None:
        return
    try:
        graph = explore(shown.world)
    except WorldTooLarge:
        return
    policy.foresee(
        Decision(prompt, tuple(option.text for option in options))
        for state, admissible in zip(graph.states, graph.admissible, strict=True)
        if admissible.any()
        for prompt, options in [shown.narrate(state)]
    )

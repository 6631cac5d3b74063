"""An agent, trained on one task and not touched since, on others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from twosome.evaluation.measurement import Measurement, Subject, measure
from twosome.settings.config import RunConfig
from twosome.text.tasks import TASKS, open_task
from twosome.text.telling import vector_shape
from twosome.types import Policy


def readable(config: RunConfig, tasks: Sequence[str]) -> tuple[str, ...]:
    """Those of some tasks that the agent of a run can read.

    A language model reads them all. Networks on the observation vector of one world have no inputs for that of another,
    which is part of what is compared.
    """
    if config.policy == "language":
        return tuple(tasks)
    return tuple(task for task in tasks if _shape(task) == _shape(config.task))


def tasks_like(task: str) -> tuple[str, ...]:
    """The other tasks of its world; none for an environment of a user's own."""
    if task not in TASKS:
        return ()
    return tuple(other for other in TASKS if other != task and TASKS[other].world == TASKS[task].world)


def measure_on(
    policy: Policy,
    subject: Subject,
    tasks: Sequence[str],
    environments: Mapping[str, Mapping[str, Any]],
    modes: Sequence[bool] = (False, True),
    within: float = 0.0,
) -> Iterator[Measurement]:
    """What a policy is worth on each of some tasks.

    Args:
        policy: It is not changed.
        subject: Who that is.
        tasks: Names of :data:`~twosome.text.tasks.TASKS`.
        environments: Arguments of each task's environment.
        modes: Sampled (False), greedy (True), or both.
        within: Share of the episodes that may come to states in which it is not asked.
    """
    for task in tasks:
        for greedy in modes:
            gamma, environment = TASKS[task].gamma, environments[task]
            where: dict[str, Any] = {"gamma": gamma, "greedy": greedy, "environment": environment, "within": within}
            yield measure(policy, subject, task, **where)


def _shape(task: str) -> tuple[int, int]:
    with open_task(task) as env:
        return vector_shape(env.unwrapped.env)  # type: ignore[attr-defined]

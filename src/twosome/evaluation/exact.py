"""What a policy is worth, without sampling error: its probabilities in every state that can be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from twosome.calibration import Bin, calibration_error, reliability
from twosome.decision import Decision
from twosome.envs import oracle
from twosome.envs.exploring import StateGraph, explore
from twosome.envs.visiting import visits
from twosome.errors import ConfigError
from twosome.evaluation.following import Row, follow
from twosome.success import Way
from twosome.text.states import TextWorld, text_world
from twosome.text.tasks import open_task
from twosome.types import ForeseeingPolicy, Policy

JUDGED_AT = 0.999
"""Discount that decides which actions are best where a task has none: success counts, and the sooner the better."""


@dataclass(frozen=True)
class ExactEvaluation:
    """What a policy is worth from the start of an episode to its end or the time limit; expectations.

    Attributes:
        task: The task's name.
        greedy: Whether the most probable action is always taken.
        gamma: Discount per primitive step of the returns.
        success: Probability that an episode ends in success; None where the world does not say what success is.
        success_by: How it says so: told or paid (:mod:`twosome.success`), or None.
        discounted_return: Mean return.
        std_return: Standard deviation of the return of one episode.
        decisions: Mean number of decisions in an episode.
        duration: Mean number of primitive steps in an episode.
        optimal_return: Return of the best policy that sees the state; if discounted, without a time limit.
        states: Reachable states in which there is something to decide.
        prompts: Different decisions they read as.
        asked: How many of these the policy was asked for.
        missed: Probability that an episode comes to a decision that the policy was not asked for; from there on it is
            taken to play evenly. 0 where it was asked for all.
        accuracy: Fraction of those states in which the most probable action is an optimal one; None where some were
            not asked for.
        optimal_choices: Expected fraction of the decisions of an episode that are optimal.
        calibration_error: Mean distance of the probability of an action that is taken from how often such an action is
            optimal (:func:`twosome.calibration.calibration_error`).
        reliability: The same by probability.
    """

    task: str
    greedy: bool
    gamma: float
    success: float | None
    success_by: Way | None
    discounted_return: float
    std_return: float
    decisions: float
    duration: float
    optimal_return: float
    states: int
    prompts: int
    asked: int
    missed: float
    accuracy: float | None
    optimal_choices: float
    calibration_error: float
    reliability: tuple[Bin, ...]


def evaluate_exactly(
    policy: Policy,
    task: str,
    *,
    gamma: float = 0.99,
    greedy: bool = False,
    environment: Mapping[str, Any] | None = None,
    batch_size: int = 32,
    within: float = 0.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> ExactEvaluation:
    """Evaluate a policy on every state of a task whose world shows its states, or on every one to which it comes.

    Args:
        policy: Any policy; it is not changed. It is asked once for every different decision.
        task: See :func:`twosome.text.tasks.make_task`.
        gamma: Discount per primitive step of the returns.
        greedy: Take the most probable action instead of sampling.
        environment: Further arguments of the environment.
        batch_size: Decisions the policy is asked for at once.
        within: Share of the episodes that may come to decisions it is not asked for; 0 to ask for all. A large model
            is asked far less where a few states are enough for nearly all episodes.
        on_progress: Called with the numbers of decisions asked for and of all, after every batch.

    Raises:
        ConfigError: If the world does not show its states, or the environment not its time limit.
    """
    known = look(
        policy,
        task,
        environment=environment,
        batch_size=batch_size,
        within=within,
        greedy=greedy,
        on_progress=on_progress,
    )
    acting = known.table
    if greedy:
        acting = np.zeros_like(acting)
        acting[[row.index for row in known.rows], [known.favourites[row.index] for row in known.rows]] = 1.0
    return _summarize(task, greedy, gamma, known, acting)


@dataclass(frozen=True, eq=False)
class Known:
    """What a policy does in every state of a task.

    Attributes:
        graph: All states.
        time_limit: Primitive steps after which an episode is over.
        rows: The states in which there is something to decide, and how they read.
        table: float64 [S, A], the policy's probabilities; even ones where it was not asked.
        favourites: int64 [S], its most probable action; 0 where there is nothing to decide.
        asked: Different decisions that it was asked for.
        missed: Probability that an episode comes to another one.
    """

    graph: StateGraph[Any]
    time_limit: int
    rows: Sequence[Row]
    table: NDArray[np.float64]
    favourites: NDArray[np.int64]
    asked: int
    missed: float

    def optimum(self, gamma: float) -> oracle.Optimum:
        """The best that can be done from every state; a discount of 1 cannot tell soon from late."""
        return oracle.solve(self.graph, gamma if gamma < 1 else JUDGED_AT)


def look(
    policy: Policy,
    task: str,
    *,
    environment: Mapping[str, Any] | None = None,
    batch_size: int = 32,
    within: float = 0.0,
    greedy: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Known:
    """Ask a policy in every state of a task, or wherever it comes, playing greedily or not; see
    :func:`evaluate_exactly`."""
    if not 0 <= within < 1:
        raise ConfigError(f"within must be a share of the episodes, at least 0 and below 1, got {within!r}")
    with open_task(task, **(environment or {})) as env:
        shown = text_world(env)
    if shown is None or shown.time_limit is None:
        raise ConfigError(
            f"{task!r} does not show its states, so it cannot be evaluated exactly: leave out --exact to sample "
            "episodes, or give its environment the attributes `world` (twosome.envs.exploring.OpenWorld) and "
            "`time_limit`"
        )
    graph = explore(shown.world)
    rows = _read(shown, graph)
    asking = _Asking(policy, list(dict.fromkeys(row.decision for row in rows)), batch_size, on_progress)
    if within:
        answers, missed = follow(graph, shown.time_limit, rows, asking, within, greedy=greedy)
    else:
        answers, missed = asking(asking.all_of_them), 0.0
    table, favourites = np.zeros(graph.admissible.shape), np.zeros(len(graph.states), dtype=np.int64)
    for row in rows:
        probabilities = answers.get(row.decision)
        if probabilities is None:
            probabilities = np.ones(len(row.actions))
        favourites[row.index] = row.actions[int(probabilities.argmax())]
        table[row.index, row.actions] = probabilities / probabilities.sum()
    return Known(graph, shown.time_limit, rows, table, favourites, len(answers), missed)


def _read(shown: TextWorld, graph: StateGraph[Any]) -> list[Row]:
    """The decisions of all states in which there is one."""
    rows = []
    for index, state in enumerate(graph.states):
        if graph.admissible[index].any():
            prompt, options = shown.narrate(state)
            decision = Decision(prompt, tuple(option.text for option in options))
            rows.append(Row(index, decision, [int(option.env_action) for option in options]))
    return rows


class _Asking:
    """Asks a policy, in batches, and tells how far it is."""

    def __init__(
        self,
        policy: Policy,
        all_of_them: Sequence[Decision],
        batch_size: int,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self.all_of_them = all_of_them
        self._policy = policy
        self._batch_size = batch_size
        self._on_progress = on_progress
        self._asked = 0
        if isinstance(policy, ForeseeingPolicy):
            policy.foresee(all_of_them)

    def __call__(self, decisions: Sequence[Decision]) -> dict[Decision, NDArray[np.float64]]:
        """The policy's probabilities in every one of ``decisions``."""
        answers: dict[Decision, NDArray[np.float64]] = {}
        for batch in _batches(decisions, self._batch_size):
            with torch.no_grad():
                probabilities = self._policy.action_log_probs(batch).double().exp().cpu().numpy()
            for decision, row in zip(batch, probabilities, strict=True):
                answers[decision] = row[: len(decision.actions)]
            self._asked += len(batch)
            if self._on_progress is not None:
                self._on_progress(self._asked, len(self.all_of_them))
        return answers


def _batches(decisions: Sequence[Decision], size: int) -> Iterator[Sequence[Decision]]:
    """Batches of decisions of like length, which waste the least padding."""
    ordered = sorted(decisions, key=lambda decision: len(decision.prompt))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _summarize(task: str, greedy: bool, gamma: float, known: Known, acting: NDArray[np.float64]) -> ExactEvaluation:
    graph, rows, time_limit = known.graph, known.rows, known.time_limit
    optimum = known.optimum(gamma)
    best = float(optimum.values[0]) if gamma < 1 else oracle.best_play(graph, gamma, time_limit).value
    result = oracle.evaluate(graph, acting, gamma, time_limit)
    # One point for every optimal choice, none for others: the mean return then counts optimal choices.
    points = replace(graph, rewards=optimum.optimal.astype(np.float64))
    optimal_choices = oracle.evaluate(points, acting, 1.0, time_limit).mean_return / result.mean_decisions
    at, prompts = [row.index for row in rows], len({row.decision for row in rows})
    bins = reliability(visits(graph, acting, time_limit)[:, None] * acting, known.table, optimum.optimal)
    return ExactEvaluation(
        task=task,
        greedy=greedy,
        gamma=gamma,
        success=result.success,
        success_by=graph.success_by,
        discounted_return=result.mean_return,
        std_return=result.std_return,
        decisions=result.mean_decisions,
        duration=result.mean_duration,
        optimal_return=best,
        states=len(rows),
        prompts=prompts,
        asked=known.asked,
        missed=known.missed,
        accuracy=float(optimum.optimal[at, known.favourites[at]].mean()) if known.asked == prompts else None,
        optimal_choices=optimal_choices,
        calibration_error=calibration_error(bins),
        reliability=bins,
    )

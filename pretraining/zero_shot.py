"""What an untuned model is worth in the package's environments, exactly: every reachable state, no sampling error.

What the model reads may be changed on the way (:data:`Change`): a noun put for another, other wording, or the prompt of
another state.  The world, and what its actions do, stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pretraining.environments import open_task
from twosome.decision import Decision
from twosome.envs.exploring import StateGraph, explore
from twosome.envs.oracle import Optimum, evaluate, solve, uniform
from twosome.scoring.scorer import Scorer
from twosome.text.tasks import TASKS

NORMALIZATIONS = ("sum", "token", "word")
BATCH = 32

Floats = NDArray[np.float64]
Change = Callable[[Decision], Decision]
"""Gives what the model reads in place of a decision, its phrases in the same order."""


@dataclass(frozen=True, eq=False)
class Situations:
    """Every state of a task in which there is something to decide.

    Attributes:
        task: The task's name.
        graph: All states and transitions.
        optimum: The best actions, by the task's discount.
        decisions: The decision of each such state.
        places: Its row in the graph and, for each of its phrases, the column.
        gamma: Discount per primitive step.
        time_limit: Primitive steps after which an episode is over.
    """

    task: str
    graph: StateGraph[Any]
    optimum: Optimum
    decisions: tuple[Decision, ...]
    places: tuple[tuple[int, tuple[int, ...]], ...]
    gamma: float
    time_limit: int

    @property
    def distinct(self) -> list[Decision]:
        """The different decisions; states that look alike share one."""
        return list(dict.fromkeys(self.decisions))


@dataclass(frozen=True)
class Worth:
    """What a policy is worth in a task.

    Attributes:
        success: Probability of success within the time limit, actions sampled.
        mean_return: Expected discounted return.
        accuracy: Share of the states in which the likeliest action is an optimal one; ties count in part.
        optimal_mass: Mean probability of optimal actions over the states.
    """

    success: float
    mean_return: float
    accuracy: float
    optimal_mass: float


@lru_cache(maxsize=4)
def situations(task: str) -> Situations:
    """Return the situations of a task of the package, with its default arguments."""
    shown = open_task(task)
    assert shown.time_limit is not None
    graph, gamma = explore(shown.world), TASKS[task].gamma
    decisions, places = [], []
    for row, state in enumerate(graph.states):
        if graph.admissible[row].any():
            prompt, options = shown.narrate(state)
            decisions.append(Decision(prompt, tuple(option.text for option in options)))
            places.append((row, tuple(int(option.env_action) for option in options)))
    return Situations(task, graph, solve(graph, gamma), tuple(decisions), tuple(places), gamma, shown.time_limit)


@dataclass(frozen=True, eq=False)
class Phrases:
    """A decision's phrases as a model reads them: joint log-probability in nats, and length, of each: [A]."""

    joint: Floats
    tokens: Floats
    words: Floats

    def probabilities(self, normalization: str) -> Floats:
        """Return the policy over the phrases."""
        logits = self.joint / {"sum": np.ones_like(self.joint), "token": self.tokens, "word": self.words}[normalization]
        weights: Floats = np.exp(logits - logits.max())
        return weights / weights.sum()


Reading = Mapping[Decision, Phrases]
"""What a model makes of each decision of a task."""


def _as_it_is(decision: Decision) -> Decision:
    return decision


def read(model: Any, tokenizer: Any, decisions: Sequence[Decision], change: Change = _as_it_is) -> Reading:
    """Score the phrases of decisions, changed on the way; the keys are the decisions as they were."""
    scorer, found = Scorer(model, tokenizer), {}
    for batch in _batches(decisions):
        changed = [change(decision) for decision in batch]
        with torch.no_grad():
            scores = scorer.scores(changed)
        joint, tokens = scores.token_log_probs.double().sum(-1).numpy(), scores.token_mask.double().sum(-1).numpy()
        for row, (decision, given) in enumerate(zip(batch, changed, strict=True)):
            count = len(given.actions)
            words = np.array([float(len(action.split())) for action in given.actions])
            found[decision] = Phrases(joint[row, :count], tokens[row, :count], words)
    return found


def _batches(decisions: Sequence[Decision]) -> Iterator[Sequence[Decision]]:
    ordered = sorted(decisions, key=lambda decision: len(decision.prompt))  # of like length: little padding
    for start in range(0, len(ordered), BATCH):
        yield ordered[start : start + BATCH]


def policy_table(where: Situations, policy: Mapping[Decision, Floats]) -> Floats:
    """Return a policy over phrases as probabilities of the world's actions in every state: [S, A]."""
    table = np.zeros(where.graph.admissible.shape)
    for decision, (row, columns) in zip(where.decisions, where.places, strict=True):
        table[row, list(columns)] = policy[decision]
    return table


def worth(where: Situations, table: Floats) -> Worth:
    """Return what a policy, given as a table, is worth."""
    value = evaluate(where.graph, table, where.gamma, where.time_limit)
    rows = [row for row, _ in where.places]
    policy, optimal = table[rows], where.optimum.optimal[rows]
    likeliest = where.graph.admissible[rows] & (policy >= policy.max(axis=1, keepdims=True) - 1e-12)
    hits = (likeliest & optimal).sum(axis=1) / likeliest.sum(axis=1)
    return Worth(value.success, value.mean_return, float(hits.mean()), float((policy * optimal).sum(axis=1).mean()))


def uniform_worth(where: Situations) -> Worth:
    """Return the worth of uniform play over the admissible actions."""
    return worth(where, uniform(where.graph))


def reading_worth(where: Situations, reading: Reading, normalization: str) -> Worth:
    """Return the worth of a model that acts by its reading of a task."""
    policy = {decision: phrases.probabilities(normalization) for decision, phrases in reading.items()}
    return worth(where, policy_table(where, policy))

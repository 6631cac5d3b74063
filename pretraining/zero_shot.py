"""What an untrained policy is worth in the package's tasks, exactly: every reachable state, no sampling error.

What a model reads may be changed on the way (:data:`Change`): a noun put for another, the phrases or the prompt of
another action or state.  The world, and what its actions do, stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pretraining.environments import open_task
from twosome.baselines.uniform import UniformPolicy
from twosome.baselines.untrained import Untrained
from twosome.decision import Decision
from twosome.envs.exploring import StateGraph, explore
from twosome.envs.oracle import solve
from twosome.evaluation.exact import evaluate_exactly
from twosome.models.policy import LanguageModelPolicy
from twosome.text.tasks import TASKS
from twosome.types import Policy

NORMALIZATIONS = ("sum", "token", "word")

Change = Callable[[Decision], Decision]
"""Gives what the model reads in place of a decision, its phrases in the order of the actions."""


@dataclass(frozen=True)
class Worth:
    """What a policy is worth in a task.

    Attributes:
        success: Probability of success within the time limit, actions sampled.
        mean_return: Expected discounted return.
        accuracy: Share of the states in which the likeliest action is an optimal one.
    """

    success: float
    mean_return: float
    accuracy: float


@dataclass
class Changed(Untrained):
    """Acts as a policy does that reads every decision changed."""

    policy: Policy
    change: Change

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Log-probabilities of the actions whose phrases, changed, the policy reads: float32 [B, A]."""
        return self.policy.action_log_probs([self.change(decision) for decision in decisions])


def decisions(task: str) -> list[Decision]:
    """Return the different decisions of a task; states that look alike share one."""
    shown = open_task(task)
    graph = explore(shown.world)
    told = (shown.narrate(state) for state, row in zip(graph.states, graph.admissible, strict=True) if row.any())
    return list(dict.fromkeys(Decision(prompt, tuple(option.text for option in options)) for prompt, options in told))


def worth(policy: Policy, task: str) -> Worth:
    """Return what a policy is worth in a task of the package, with its default arguments."""
    found = evaluate_exactly(policy, task, gamma=TASKS[task].gamma)
    return Worth(found.success, found.discounted_return, found.accuracy)


def uniform_worth(task: str) -> Worth:
    """Return the worth of uniform play; its accuracy is the one to expect if ties are broken by lot."""
    graph: StateGraph[Any] = explore(open_task(task).world)
    at = graph.admissible.any(axis=1)
    optimal = solve(graph, TASKS[task].gamma).optimal[at].sum(axis=1) / graph.admissible[at].sum(axis=1)
    found = worth(UniformPolicy(), task)
    return Worth(found.success, found.mean_return, float(optimal.mean()))


def worths(model: Any, tokenizer: Any, task: str, change: Change | None = None) -> dict[str, Worth]:
    """Return the worth of a model under each normalisation."""
    policies = {name: LanguageModelPolicy(model, tokenizer, normalization=name) for name in NORMALIZATIONS}
    return {name: worth(Changed(policy, change) if change else policy, task) for name, policy in policies.items()}

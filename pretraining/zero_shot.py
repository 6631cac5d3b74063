"""What an untuned model is worth in the package's environments, exactly: every reachable state, no sampling error.

A noun of the prompts may be swapped for another (``--swap tomato=carrot``): words the corpus uses in procedures, words
held out of them, and invented ones can then be compared in one and the same task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pretraining.environments import MAX_STATES, household_decisions, kitchen_decisions
from pretraining.probe import phrase_log_probs
from twosome.envs.oracle import StateGraph, evaluate, explore, solve, uniform
from twosome.envs.overcooked.environment import Rewards
from twosome.envs.overcooked.tasks import TASKS as KITCHEN_TASKS
from twosome.envs.overcooked.tasks import find_foods, find_task
from twosome.envs.overcooked.transitions import shared_table
from twosome.envs.virtualhome.world import shared_world

NORMALIZATIONS = ("sum", "token", "word")


@dataclass(frozen=True)
class ZeroShot:
    """One row of the table.

    Attributes:
        policy: "uniform", or the normalisation of the model's scores.
        success: Probability of success within the time limit, actions sampled.
        mean_return: Expected discounted return.
        accuracy: Share of the states not at the end in which the likeliest action is an optimal one.
        optimal_mass: Mean probability of optimal actions over these states.
        on_path: Probability of the optimal action in each state of a best play, in order.
    """

    policy: str
    success: float
    mean_return: float
    accuracy: float
    optimal_mass: float
    on_path: tuple[float, ...]


def _world(task: str) -> tuple[Any, list[tuple[str, tuple[str, ...]]], float, int]:
    """Return (world, decision of each state, discount, time limit) of a task."""
    if task in KITCHEN_TASKS:
        foods = find_foods(find_task(task), None)
        world: Any = shared_table(task, "A", foods, 2, Rewards(), 0.99)
        return world, list(kitchen_decisions(task)), 0.99, 200
    return shared_world(task, False), list(household_decisions(task)), 0.95, 50


def zero_shot(model: Any, tokenizer: Any, task: str, swaps: Mapping[str, str] | None = None) -> list[ZeroShot]:
    """Return the rows for uniform play and for the model under each normalisation."""
    world, decisions, discount, limit = _world(task)
    graph = explore(world, MAX_STATES)
    rows = [_row("uniform", graph, uniform(graph), discount, limit)]
    known: dict[tuple[str, tuple[str, ...]], dict[str, list[float]]] = {}
    tables = {name: np.zeros(graph.admissible.shape) for name in NORMALIZATIONS}
    for state, decision in enumerate(decisions):
        if not graph.admissible[state].any():
            continue
        if decision not in known:
            known[decision] = _probabilities(model, tokenizer, *_swapped(decision, swaps or {}))
        for name in NORMALIZATIONS:
            tables[name][state, graph.admissible[state]] = known[decision][name]
    return rows + [_row(name, graph, table, discount, limit) for name, table in tables.items()]


def _swapped(decision: tuple[str, tuple[str, ...]], swaps: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    prompt, actions = decision
    for old, new in swaps.items():
        prompt, actions = prompt.replace(old, new), tuple(action.replace(old, new) for action in actions)
    return prompt, actions


def _probabilities(model: Any, tokenizer: Any, prompt: str, actions: tuple[str, ...]) -> dict[str, list[float]]:
    tokens = phrase_log_probs(model, tokenizer, prompt, actions)
    total = torch.stack([token.sum() for token in tokens]).double()
    lengths = {
        "sum": torch.ones(len(actions)),
        "token": torch.tensor([float(len(token)) for token in tokens]),
        "word": torch.tensor([float(len(action.split())) for action in actions]),
    }
    return {name: (total / length).softmax(-1).tolist() for name, length in lengths.items()}


def _row(name: str, graph: StateGraph[Any], policy: Any, discount: float, limit: int) -> ZeroShot:
    value, optimum = evaluate(graph, policy, discount, limit), solve(graph, discount)
    playing = graph.admissible.any(axis=1)
    likeliest = np.where(graph.admissible, policy, -1.0).argmax(axis=1)
    hits = optimum.optimal[np.arange(len(likeliest)), likeliest][playing]
    path, state = [], 0
    for _ in range(60):
        best = int(optimum.optimal[state].argmax())
        path.append(float((policy[state] * optimum.optimal[state]).sum()))
        if graph.terminated[state, best]:
            break
        state = int(graph.successors[state, best])
    mass = (policy * optimum.optimal).sum(axis=1)[playing]
    return ZeroShot(name, value.success, value.mean_return, float(hits.mean()), float(mass.mean()), tuple(path))

"""Asks a policy only where it comes: states that hardly any of its episodes reach are not worth a model's reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twosome.decision import Decision
from twosome.envs.exploring import StateGraph
from twosome.envs.visiting import visits

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A state's row in the graph, its decision, and the environment's action for each of its options."""

    index: int
    decision: Decision
    actions: list[int]


def follow(
    graph: StateGraph[Any],
    time_limit: int,
    rows: Sequence[Row],
    ask: Callable[[Sequence[Decision]], Mapping[Decision, Probabilities]],
    within: float,
    *,
    greedy: bool = False,
) -> tuple[dict[Decision, Probabilities], float]:
    """What a policy answers wherever more than a share ``within`` of its episodes come, and the share that was left.

    Again and again, how often an episode comes to a decision that was not asked is computed exactly, as if it ended
    there; the most frequent of these are asked, until all others together are met by no more than ``within`` of the
    episodes.

    Args:
        graph: All states.
        time_limit: Primitive steps after which an episode is over.
        rows: The states in which there is something to decide.
        ask: The policy's probabilities in some decisions.
        within: Share of the episodes, positive.
        greedy: The most probable action is always taken.
    """
    answers: dict[Decision, Probabilities] = {}
    acting = np.zeros(graph.admissible.shape)
    waiting: dict[Decision, list[Row]] = {}
    for row in rows:
        waiting.setdefault(row.decision, []).append(row)
    while True:
        often = visits(graph, acting, time_limit)  # nothing is done where nobody was asked, so an episode ends there
        reached = {decision: float(often[[row.index for row in at]].sum()) for decision, at in waiting.items()}
        left = sum(reached.values())
        if left <= within:
            return answers, left
        chosen: list[Decision] = []
        for decision in sorted(reached, key=lambda each: -reached[each]):
            if left <= within / 2:  # half of it, so that what lies behind the chosen ones has room
                break
            chosen.append(decision)
            left -= reached[decision]
        found = ask(chosen)
        for decision in chosen:
            answers[decision] = row_of = found[decision]
            played = np.eye(len(row_of))[row_of.argmax()] if greedy else row_of / row_of.sum()
            for row in waiting.pop(decision):
                acting[row.index, row.actions] = played

"""Which decisions practice changed most, over all states: what the base did there, and what the agent does now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from twosome.baselines.untrained import Untrained
from twosome.decision import Decision
from twosome.envs.visiting import visits
from twosome.evaluation.exact import Known, look
from twosome.models.policy import LanguageModelPolicy


@dataclass(frozen=True)
class Change:
    """A state in which practice moved probability to or from the optimal actions.

    Attributes:
        decision: How it reads.
        optimal: Places of the optimal actions among its phrases.
        before: Probabilities of the phrases under the base, adapter off.
        after: Probabilities of the phrases under the agent.
        visits_before: Expected visits of the state in an episode of the base.
        visits_after: The same of the agent.
    """

    decision: Decision
    optimal: tuple[int, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    visits_before: float
    visits_after: float

    @property
    def optimal_before(self) -> float:
        """Probability of an optimal action under the base."""
        return sum(self.before[place] for place in self.optimal)

    @property
    def optimal_after(self) -> float:
        """Probability of an optimal action under the agent."""
        return sum(self.after[place] for place in self.optimal)

    @property
    def weight(self) -> float:
        """How much it matters: probability that moved, times visits of whoever comes here more often."""
        return abs(self.optimal_after - self.optimal_before) * max(self.visits_before, self.visits_after)


class _Base(Untrained):
    """A trained policy with its adapter off."""

    def __init__(self, policy: LanguageModelPolicy) -> None:
        self._policy = policy

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        return self._policy.reference_action_log_probs(decisions)


def changes(
    policy: LanguageModelPolicy, task: str, *, gamma: float, environment: Mapping[str, Any] | None = None
) -> list[Change]:
    """All states with a decision, those first in which practice changed most that matters.

    Args:
        policy: A trained agent; it is not changed.
        task: A task whose world shows its states.
        gamma: Discount per primitive step, which decides what is optimal.
        environment: Further arguments of the environment.

    Raises:
        ConfigError: If the world does not show its states.
    """
    after, before = (look(each, task, environment=environment) for each in (policy, _Base(policy)))
    optimal = after.optimum(gamma).optimal
    often = _visits(before), _visits(after)
    found = [
        Change(
            row.decision,
            tuple(place for place, action in enumerate(row.actions) if optimal[row.index, action]),
            tuple(before.table[row.index, row.actions].tolist()),
            tuple(after.table[row.index, row.actions].tolist()),
            float(often[0][row.index]),
            float(often[1][row.index]),
        )
        for row in after.rows
    ]
    return sorted(found, key=lambda change: -change.weight)


def _visits(known: Known) -> np.ndarray[Any, np.dtype[np.float64]]:
    return visits(known.graph, known.table, known.time_limit)
